package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/semver"
)

// The changelog has the form of Keep a Changelog: what is unreleased, then versions from the
// newest to the oldest with their dates, and in each only the kinds of changes that there are.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range changelogFaults(string(text)) {
		t.Error(why)
	}
}

var (
	released = regexp.MustCompile(`^## \[(\d+\.\d+\.\d+\S*)\] - (\S+)$`)
	kinds    = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
)

func changelogFaults(text string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	newer, newest, kind := "", true, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "## "):
			kind = ""
			m := released.FindStringSubmatch(line)
			switch {
			case newest && line != "## [Unreleased]":
				fault("%q comes before [Unreleased]", line)
			case newest:
			case m == nil:
				fault("%q is no version and date", line)
			case !semver.IsValid("v" + m[1]):
				fault("%q is no version", m[1])
			case newer != "" && semver.Compare(newer, "v"+m[1]) <= 0:
				fault("%s comes after %s", m[1], newer)
			default:
				newer = "v" + m[1]
				if _, err := time.Parse(time.DateOnly, m[2]); err != nil {
					fault("%s: %v", m[1], err)
				}
			}
			newest = false
		case strings.HasPrefix(line, "### "):
			was := kind
			kind = strings.TrimPrefix(line, "### ")
			if order(kind) <= order(was) {
				fault("%q is no kind of changes, or stands after %q", kind, was)
			}
		case strings.HasPrefix(line, "- ") && kind == "":
			fault("of what kind is the change %q?", line)
		}
	}
	if newest {
		fault("there is no [Unreleased]")
	}
	return faults
}

// order is a kind's place: 0 for none.
func order(kind string) int {
	for i, k := range kinds {
		if k == kind {
			return i + 1
		}
	}
	return 0
}

func TestChangelogFaults(t *testing.T) {
	const good = "# C\n\n## [Unreleased]\n\n### Added\n\n- a\n\n## [1.1.0] - 2027-02-01\n\n### Changed\n\n- b\n\n### Fixed\n\n- c\n\n## [1.0.0] - 2027-01-01\n\n### Added\n\n- d\n"
	if faults := changelogFaults(good); faults != nil {
		t.Errorf("%q", faults)
	}
	for _, x := range [][2]string{
		{"## [Unreleased]\n", "## [2.0.0] - 2027-03-01\n"},
		{"1.1.0", "0.9.0"},
		{"2027-02-01", "yesterday"},
		{"### Added", "### New"},
		{"### Fixed", "### Added"},
		{"### Changed\n", ""},
		{"- 2027-01-01", ""},
	} {
		if bad := strings.Replace(good, x[0], x[1], 1); len(changelogFaults(bad)) == 0 {
			t.Errorf("%q in place of %q is no fault", x[1], x[0])
		}
	}
}
