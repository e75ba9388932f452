package costing

import (
	"bytes"
	"mime"
	"strings"
)

// maxParts bounds how many parts of a form are looked at: several times what the
// endpoints have fields and take images.
const maxParts = 256

// form reads a multipart/form-data body.
func (r *reader) form(contentType string, f *fields) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return
	}
	f.form = true
	delimiter := []byte("\r\n--" + params["boundary"])
	first := delimiter[len("\r\n"):]

	rest := r.buf
	if !bytes.HasPrefix(rest, first) {
		_, after, ok := bytes.Cut(rest, delimiter) // after a preamble
		if !ok {
			return
		}
		rest = after
	} else {
		rest = rest[len(first):]
	}
	for range maxParts {
		if bytes.HasPrefix(rest, []byte("--")) {
			break
		}
		header, after, ok := bytes.Cut(rest, []byte("\r\n\r\n"))
		if !ok {
			break
		}
		value, next, more := bytes.Cut(after, delimiter)
		if !more {
			value = trimPrefixOf(value, delimiter)
		}
		r.formField(f, header, value)
		if !more {
			break
		}
		rest = next
	}
}

// trimPrefixOf cuts off the beginning of a delimiter that value ends with.
func trimPrefixOf(value, delimiter []byte) []byte {
	for i := len(delimiter) - 1; i > 0; i-- {
		if rest, ok := bytes.CutSuffix(value, delimiter[:i]); ok {
			return rest
		}
	}
	return value
}

// formField reads one part.
func (r *reader) formField(f *fields, header, value []byte) {
	name, file := disposition(header)
	if file {
		switch {
		case name == "file":
			f.audio += tokensOfFile(int64(len(value)), source{raw: value})
		case strings.HasPrefix(name, "image"): // image, image[], image[0]
			f.pictures.add(sizeOf(source{raw: value}))
		}
		return
	}
	switch name {
	case "model":
		f.model = value
	case "prompt":
		f.promptText = value
	case "n":
		n, _ := parseNumber(value)
		f.n = plausible(n)
	case "stream":
		f.stream = string(value) == "true"
	case "size":
		f.size = value
	case "quality":
		f.quality = value
	case "input_fidelity":
		f.fidelity = value
	case "output_format":
		f.output = value
	case "frame_count":
		f.frames, _ = parseNumber(value)
	case "partial_images":
		f.partialImages, _ = parseNumber(value)
	}
}

// disposition returns the name of the field that a part is, and whether it is a
// file.
func disposition(header []byte) (name string, file bool) {
	const maxLine = 4096
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(value) > maxLine || !bytes.EqualFold(bytes.TrimSpace(key), []byte("Content-Disposition")) {
			continue
		}
		if _, params, err := mime.ParseMediaType(string(value)); err == nil {
			_, file = params["filename"]
			return params["name"], file
		}
	}
	return "", false
}
