package ratelimiter

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
)

// rejectionBody is an error in OpenAI's form.
type rejectionBody struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	} `json:"error"`
}

// response is what the transport returns in place of an error: nil if that is none of the
// limiter's own, or WithRejectionResponses is not set.
func (l *Limiter) response(req *http.Request, err error) *http.Response {
	var e *Error
	if !l.config.responses || !errors.As(err, &e) || e.Code() == "" {
		return nil
	}
	return rejectionResponse(req, e)
}

// rejectionResponse is a rejection as a response in OpenAI's form.
func rejectionResponse(req *http.Request, e *Error) *http.Response {
	status := http.StatusTooManyRequests
	if e.Reason == ErrBackend || e.Reason == ErrShutdown {
		status = http.StatusServiceUnavailable
	}
	var body rejectionBody
	body.Error.Message, body.Error.Type, body.Error.Code = e.Error(), "ratelimiter", e.Code()
	text, _ := json.Marshal(body) // of strings, which can't fail
	header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(text))}, "X-Should-Retry": {"false"}}
	if wait := e.RetryAfter(); wait > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	return &http.Response{
		Status:     strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode: status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(text)),
		ContentLength: int64(len(text)),
		Request:       req,
	}
}
