package costing_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/openai-ratelimiter/ratelimiter/internal/costing"
	"github.com/openai-ratelimiter/ratelimiter/internal/wire"
)

func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		`{"model":"gpt-4o","messages":` + cookbookMessages + `}`,
		`{` + cookbookTools + `,"model":"gpt-4o"}`,
		`{"max_tokens":1,"max_completion_tokens":5e3,"n":-2,"stream":true,"stream_options":{"include_usage":true}}`,
		`{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/4AAQSkZJRg==","detail":"low"}}]}]}`,
		`{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"UklGRgAAAABXQVZFZm10IBAAAAABAAEA","format":"wav"}}]}]}`,
		`{"input":[1,[2,3],"\ud83d\ude00\u00zz",{"type":"function_call","arguments":"{}"}],"instructions":"a\\"}`,
		`{"prompt":["a",[1]],"best_of":3,"size":"16x16","quality":"low","images":["data:;base64,iVBORw0KGgo=",{"file_id":"x"}]}`,
		`{"response_format":{"json_schema":{"schema":{"a":[{}]}}},"text":{"format":{}},"prediction":{"content":"x"}}`,
	} {
		for i := range endpoints {
			f.Add(uint8(i), []byte(body))
		}
	}
	for _, make := range hostile {
		f.Add(uint8(1), []byte(make(200)))
	}
	f.Fuzz(func(t *testing.T, endpoint uint8, body []byte) {
		e := endpoints[int(endpoint)%len(endpoints)]
		before := bytes.Clone(body)
		got := costing.JSON(e, "", body, bytesCounter{})
		bounded(t, e, body, got)
		if !bytes.Equal(body, before) {
			t.Error("the body was changed")
		}
		bounded(t, e, body, costing.JSON(e, "", body[:len(body)/2], bytesCounter{}))

		// encoding/json agrees on what it finds valid.
		var object map[string]any
		if json.Unmarshal(body, &object) != nil || object == nil || endpoint == 0 || got == (costing.Estimate{}) {
			return
		}
		if stream, ok := object["stream"].(bool); ok && stream != got.Stream {
			t.Errorf("stream is %v: %q", got.Stream, body)
		}
		if model, ok := object["model"].(string); ok && len(model) < 200 && model != got.Model {
			t.Errorf("model is %q, want %q: %q", got.Model, model, body)
		}
	})
}

func FuzzMultipart(f *testing.F) {
	const contentType = "multipart/form-data; boundary=b"
	for _, body := range []string{
		"--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n--b--\r\n",
		"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b",
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''a\r\n\r\nRIFF\r\n--b\r\n\r\n\r\n--b",
		"x\r\n--b\r\n\r\n--b\r\n",
	} {
		for i := range endpoints {
			f.Add(uint8(i), contentType, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, endpoint uint8, contentType string, body []byte) {
		e := endpoints[int(endpoint)%len(endpoints)]
		bounded(t, e, body, costing.Multipart(e, "", contentType, body, bytesCounter{}))
		bounded(t, e, body, costing.Multipart(e, "", contentType, body[:len(body)/2], bytesCounter{}))
	})
}

// FuzzForm: of a form that mime/multipart has written, the fields are what was written, at
// whatever place files stand.
func FuzzForm(f *testing.F) {
	f.Add("whisper-1", "a.wav", []byte("RIFF"), "b", true)
	f.Add("gpt-image-2", "x\"y.png", []byte("\x89PNG\r\n--b\r\n--b--\r\n"), "b", false)
	f.Add("m", "", []byte("\r\n--"), strings.Repeat("-", 60), true)
	f.Fuzz(func(t *testing.T, model, filename string, content []byte, boundary string, last bool) {
		if model == "" || len(model) > 200 || !utf8.ValidString(model) || strings.TrimSpace(model) != model {
			return
		}
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		if w.SetBoundary(boundary) != nil || bytes.Contains(content, []byte("--"+boundary)) || strings.Contains(model, "--"+boundary) {
			return
		}
		file := func() {
			part, err := w.CreateFormFile("file", filename)
			if err == nil {
				_, err = part.Write(content)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !last {
			file()
		}
		err := errors.Join(w.WriteField("model", model), w.WriteField("stream", "true"))
		if last {
			file()
		}
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		got := costing.Multipart(wire.Transcriptions, "", w.FormDataContentType(), body.Bytes(), bytesCounter{})
		if got.Model != model || !got.Stream {
			t.Errorf("model %q, stream %v of\n%q", got.Model, got.Stream, body.Bytes())
		}
	})
}
