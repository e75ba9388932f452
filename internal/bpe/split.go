package bpe

import "unicode/utf8"

// The functions in this file cut the first piece off what is left of a text, as
// the patterns of tiktoken's encodings do (tiktoken_ext/openai_public.py). Each
// returns where the piece that begins at text[i:] ends. Text is valid UTF-8, and i
// is before its end.
//
// The patterns are alternatives of which the first that matches counts, in greedy
// regular expressions that backtrack. Where what backtracking finds is not plain,
// a comment says why the code finds it, too.

// splitO200k is the pattern of o200k_base:
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	\p{N}{1,3}
//	 ?[^\s\p{L}\p{N}]+[\r\n/]*
//	\s*[\r\n]+
//	\s+(?!\S)
//	\s+
func splitO200k(text []byte, i int) int {
	c, size := classAt(text, i)
	switch {
	case c == number:
		return numbers(text, i+size)
	case c != newline:
		end := plainWord(text, i)
		if end == i {
			end = casedWord(text, i)
		}
		if end > i {
			return contraction(text, end)
		}
		if end := symbols(text, i); end > i {
			for end < len(text) && (text[end] == '\r' || text[end] == '\n' || text[end] == '/') {
				end++
			}
			return end
		}
	}
	return blanks(text, i, true)
}

// plainWord is casedWord for words of ASCII letters after an ASCII character, or
// none: capitals and then small letters. It returns i for the rest.
func plainWord(text []byte, i int) int {
	begin := i
	if ascii[text[begin]]&(space|signs) != 0 {
		begin++
	}
	end := begin
	for end < len(text) && ascii[text[end]] == upper {
		end++
	}
	end = skipLetters(text, end, smallOnly)
	if end == begin || end < len(text) && text[end] >= utf8.RuneSelf {
		return i
	}
	return end
}

// casedWord is the first two alternatives of o200k_base without the contraction.
// It returns i if they do not match.
//
// Say head for the runes of the first class with an asterisk and tail for those of
// the class with a plus; letters without case and marks are both. If the heads are
// followed by a small letter, the tails go on from there. Otherwise the first
// alternative gives back heads until it finds one that is a tail as well: the
// match ends after the last of these, or, if the rune before the heads is a mark,
// at worst after that one. Where there is none, the second alternative takes all
// the heads.
func casedWord(text []byte, i int) int {
	const head, tail = upper | letter | mark, lower | letter | mark
	both := i // after the last rune that is head and tail
	first, size := classAt(text, i)
	begin := i
	if first&(space|signs) != 0 {
		begin += size
		if first == mark {
			both = begin
		}
	}
	for end := begin; ; {
		c, size := classAt(text, end)
		switch {
		case c == upper:
			end += size
		case c&head != 0:
			end = skip(text, end+size, letter|mark)
			both = end
		case c == lower:
			return skip(text, end+size, tail)
		case both > i:
			return both
		case end > begin:
			return end
		default:
			return i
		}
	}
}

// splitCL100k is the pattern of cl100k_base:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)
//	[^\r\n\p{L}\p{N}]?\p{L}+
//	\p{N}{1,3}
//	 ?[^\s\p{L}\p{N}]+[\r\n]*
//	\s*[\r\n]+
//	\s+(?!\S)
//	\s+
func splitCL100k(text []byte, i int) int {
	if end := spacedWord(text, i); end > i {
		return end
	}
	if end := contraction(text, i); end > i {
		return end
	}
	c, size := classAt(text, i)
	switch {
	case c&letters != 0:
		return word(text, i+size)
	case c == number:
		return numbers(text, i+size)
	case c != newline:
		if end := word(text, i+size); end > i+size {
			return end
		}
		if end := symbols(text, i); end > i {
			return skip(text, end, newline)
		}
	}
	return blanks(text, i, true)
}

// splitR50k is the pattern of r50k_base, which is that of p50k_base, and cuts
// between two spaces as well. No token of r50k_base has two spaces in a row, so
// that this changes no count, and the tokens that only p50k_base has, which all
// do, are never found.
func splitR50k(text []byte, i int) int {
	if end := spacedWord(text, i); end > i {
		return end
	}
	for end := i; ; {
		c, size := classAt(text, end)
		if c&spaces == 0 {
			return splitP50k(text, i)
		}
		if text[end] == ' ' && end+1 < len(text) && text[end+1] == ' ' {
			return end + 1
		}
		end += size
	}
}

// splitP50k is the pattern of p50k_base and r50k_base:
//
//	's|'t|'re|'ve|'m|'ll|'d
//	 ?\p{L}+
//	 ?\p{N}+
//	 ?[^\s\p{L}\p{N}]+
//	\s+(?!\S)
//	\s+
func splitP50k(text []byte, i int) int {
	if end := spacedWord(text, i); end > i {
		return end
	}
	if end := contraction(text, i); end > i && text[i+1] >= 'a' && text[end-1] >= 'a' {
		return end
	}
	begin := i
	if text[i] == ' ' {
		begin++
	}
	c, size := classAt(text, begin)
	switch {
	case c&letters != 0:
		return word(text, begin+size)
	case c == number:
		return skip(text, begin+size, number)
	case c&signs != 0:
		return skip(text, begin+size, signs)
	}
	return blanks(text, i, false)
}

// spacedWord returns the end of a word of ASCII letters, after a space or none,
// which is a piece in every encoding but o200k_base. It returns i for the rest.
func spacedWord(text []byte, i int) int {
	begin := i
	if text[begin] == ' ' {
		begin++
	}
	end := skipLetters(text, begin, anyCase)
	if end == begin || end < len(text) && text[end] >= utf8.RuneSelf {
		return i
	}
	return end
}

// word returns the end of the run of letters at text[i:].
func word(text []byte, i int) int {
	i = skipLetters(text, i, anyCase)
	if i < len(text) && text[i] >= utf8.RuneSelf {
		i = skip(text, i, letters)
	}
	return i
}

// contraction returns the end of one of 's 't 're 've 'm 'll 'd at text[i:], in
// letters of any case, or i if there is none.
func contraction(text []byte, i int) int {
	if i < len(text) && text[i] == '\'' {
		return apostrophe(text, i)
	}
	return i
}

func apostrophe(text []byte, i int) int {
	if i+1 == len(text) {
		return i
	}
	switch text[i+1] | 0x20 {
	case 's', 't', 'm', 'd':
		return i + 2
	case 'r', 'v':
		if i+2 < len(text) && text[i+2]|0x20 == 'e' {
			return i + 3
		}
	case 'l':
		if i+2 < len(text) && text[i+2]|0x20 == 'l' {
			return i + 3
		}
	}
	return i
}

// numbers returns the end of a piece of at most three numbers, the first of which
// ends at text[i:].
func numbers(text []byte, i int) int {
	for range 2 {
		c, size := classAt(text, i)
		if c != number {
			break
		}
		i += size
	}
	return i
}

// symbols returns the end of " ?[^\s\p{L}\p{N}]+" at text[i:], or i if it does not
// match.
func symbols(text []byte, i int) int {
	begin := i
	if text[i] == ' ' {
		begin++
	}
	if end := skip(text, begin, signs); end > begin {
		return end
	}
	return i
}

// blanks returns the end of the piece of white space at text[i:]. With lines it
// ends after the last line's end, if there is one. Otherwise the last rune is left
// to a word that follows, unless it is the only one.
func blanks(text []byte, i int, lines bool) int {
	lineEnd, last, end := i, i, i
	for end < len(text) {
		c, size := classAt(text, end)
		if c&spaces == 0 {
			break
		}
		last = end
		end += size
		if c == newline {
			lineEnd = end
		}
	}
	switch {
	case lines && lineEnd > i:
		return lineEnd
	case end == len(text) || last == i:
		return end
	}
	return last
}

// appendValid appends text with U+FFFD for every byte that is not part of a rune,
// which is what a Go string's conversion to runes makes of it.
func appendValid(valid, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		valid = utf8.AppendRune(valid, r)
		text = text[size:]
	}
	return valid
}
