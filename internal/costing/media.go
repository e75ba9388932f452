package costing

import (
	"bytes"
	"encoding/binary"
)

// Audio, documents and encrypted reasoning are charged by their size: what they
// hold is not decoded, and OpenAI has published no figure that follows from it. So
// all of it is guessed.
const (
	// OpenAI's guide to the cost of realtime sessions: a token for every 100 ms
	// of a user's audio.
	audioTokensPerSecond = 10
	// Compressed speech, at 32 kbit/s; what is compressed less costs more than it
	// will. Of a WAV file the header says it.
	audioBytesPerSecond = 32_000 / 8
	// PCM has no header in the formats called so: 24 kHz, 16 bits, mono.
	pcmBytesPerSecond = 24_000 * 2
	// A header that claims more than stereo at 48 kHz with 32 bits is not believed.
	mostBytesPerSecond = 48_000 * 2 * 4

	// A PDF costs the text of each page and an image of it: between 9 bytes a
	// token (pages of text) and 33 (drawings).
	documentBytesPerToken = 16
	textBytesPerToken     = 4
	// A file or a video that is named only, and a minute of audio that is.
	unseenDocument = 4096
	unseenAudio    = 60 * audioTokensPerSecond

	// What was thought before comes back as ciphertext of about the size of the
	// text.
	ciphertextBytesPerToken = 4
)

// inputAudio reads {"data": base64, "format": "wav"}, or "pcm16". Other hosts take a data: URL
// or another one there, and Mistral one in place of the object.
func (r *reader) inputAudio() int64 {
	if r.peek() == '"' {
		return r.guess(audioTokens(r.str()))
	}
	if !r.enter('{') {
		return 0
	}
	var data, format []byte
	for key, ok := r.key(); ok; key, ok = r.key() {
		switch string(key) {
		case "data":
			data = r.str()
		case "format":
			format = r.str()
		default:
			r.skip()
		}
	}
	if bytes.HasPrefix(format, []byte("pcm")) {
		return r.guess(tokensOfAudio(decodedLen(data), pcmBytesPerSecond))
	}
	return r.guess(audioTokens(data))
}

// audioTokens returns what audio costs, given its URL or base64.
func audioTokens(data []byte) int64 {
	if isRemote(data) {
		return unseenAudio
	}
	if content, ok := dataOf(data); ok {
		data = content.raw
	}
	return tokensOfFile(decodedLen(data), source{raw: data, base64: true})
}

// tokensOfFile returns what audio of so many bytes costs. The format is told by its content.
func tokensOfFile(size int64, data source) int64 {
	var head [32]byte
	perSecond := int64(audioBytesPerSecond)
	if n := data.fill(head[:]); n >= 12 && bytes.HasPrefix(head[:], []byte("RIFF")) && string(head[8:12]) == "WAVE" {
		perSecond = pcmBytesPerSecond
		if string(head[12:16]) == "fmt " {
			if rate := binary.LittleEndian.Uint32(head[28:]); rate > audioBytesPerSecond {
				perSecond = min(int64(rate), mostBytesPerSecond)
			}
		}
	}
	return tokensOfAudio(size, perSecond)
}

// tokensOfAudio returns the tokens of audio that has so many bytes a second.
func tokensOfAudio(size, perSecond int64) int64 {
	return (size*audioTokensPerSecond + perSecond - 1) / perSecond
}

// file reads {"file_data": data URL} or {"file_id": name}.
func (r *reader) file() int64 {
	if !r.enter('{') { // null, in a part of another kind
		return 0
	}
	var data []byte
	for key, ok := r.key(); ok; key, ok = r.key() {
		if string(key) == "file_data" {
			data = r.str()
		} else {
			r.skip()
		}
	}
	return r.guess(documentTokens(data))
}

// documentTokens returns what a document costs, given its data: URL or base64.
func documentTokens(data []byte) int64 {
	if len(data) == 0 || isRemote(data) {
		return unseenDocument
	}
	perToken := int64(documentBytesPerToken)
	if hasPrefixFold(trimSpace(data), "data:text/") {
		perToken = textBytesPerToken
	}
	if content, ok := dataOf(data); ok {
		data = content.raw
	}
	return decodedLen(data)/perToken + 1
}

// isRemote reports whether data is a URL that says where it is. Slashes may be escaped.
func isRemote(data []byte) bool {
	data = trimSpace(data)
	return hasPrefixFold(data, "https:") || hasPrefixFold(data, "http:")
}

func ciphertextTokens(data []byte) int64 {
	return decodedLen(data) / ciphertextBytesPerToken
}

// decodedLen returns the length of what base64 stands for, about: less its line breaks, as
// they stand in JSON.
func decodedLen(data []byte) int64 {
	return int64(len(data)-2*bytes.Count(data, []byte(`\n`))-2*bytes.Count(data, []byte(`\r`))) * 3 / 4
}
