#!/bin/sh
# release.sh VERSION tags HEAD as the release VERSION (v1.2.3) of the library, and a commit on top
# of it as that of the proxy: the commit's cmd/ratelimiter/go.mod requires the library's release in
# place of the directory above, which go install would refuse. No branch moves, and nothing is
# pushed.
set -eu

version=${1-}
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
fail() {
	echo "$1" >&2
	exit 1
}
echo "$version" | grep -Eq '^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$' || fail "VERSION is '$version' and must be like v1.2.3"
[ -z "$(git status --porcelain)" ] || fail "commit or stash what has changed"
grep -q "^## \[${version#v}\] - " CHANGELOG.md || fail "CHANGELOG.md has no section [${version#v}]"
for tag in "$version" "cmd/ratelimiter/$version"; do
	! git rev-parse --quiet --verify "refs/tags/$tag" >/dev/null || fail "there is a tag $tag: a release is never moved"
done

clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet --shared "$root" "$clone"
git -C "$clone" checkout --quiet --detach "$(git rev-parse HEAD)"
(cd tools && go run ./release "$version" "$clone")
git -C "$clone" commit --quiet --all --message "Release cmd/ratelimiter $version" \
	--message "Its module requires the library's release, so that go install can build it."
git fetch --quiet "$clone" HEAD
git tag "$version" HEAD
git tag "cmd/ratelimiter/$version" FETCH_HEAD
echo "git push origin $version cmd/ratelimiter/$version"
