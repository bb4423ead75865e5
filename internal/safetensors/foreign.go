package safetensors

import (
	"bytes"
	"fmt"
	"strings"
)

// signatures are the files that end up in another's place: a clone without Git LFS, a server's
// error page, the weights in another format.
var signatures = []struct{ begin, what string }{
	{"version https://git-lfs.github.com/spec/",
		"this is a Git LFS pointer, not the file: fetch it with git lfs pull, or download it again"},
	{"<!doctype html", "this is an HTML page, not the file: the download failed, repeat it"},
	{"<html", "this is an HTML page, not the file: the download failed, repeat it"},
	{"<?xml", "this is an XML page, not the file: the download failed, repeat it"},
	{"PK\x03\x04", "this is a zip archive, perhaps a PyTorch checkpoint: save the model as safetensors"},
	{"\x80\x02", "this is a pickle, perhaps a PyTorch checkpoint: save the model as safetensors"},
	{"\x80\x03", "this is a pickle, perhaps a PyTorch checkpoint: save the model as safetensors"},
	{"\x80\x04", "this is a pickle, perhaps a PyTorch checkpoint: save the model as safetensors"},
	{"\x80\x05", "this is a pickle, perhaps a PyTorch checkpoint: save the model as safetensors"},
	{"\x89HDF\r\n", "this is an HDF5 file, perhaps a TensorFlow checkpoint: save the model as safetensors"},
	{"GGUF", "this is a GGUF file: save the model as safetensors"},
	{"\x1f\x8b\x08", "this is a gzip archive: unpack it first"},
}

// Foreign says what bytes are that do not read as the file that they should be, and what to do
// about it; "" if nothing is known of them. It looks at their beginning. A whole safetensors
// file may begin like some of these by chance, so ask after it failed to parse.
func Foreign(b []byte) string {
	if len(b) == 0 {
		return "the file is empty: download it again"
	}
	head := b[:min(len(b), 256)]
	text := strings.ToLower(string(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")))
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.begin)) || s.begin[0] == '<' && strings.HasPrefix(text, s.begin) {
			return s.what
		}
	}
	return ""
}

// stranger is Foreign for what should be a safetensors file, where text is out of place too.
func stranger(b []byte) string {
	if what := Foreign(b); what != "" {
		return what
	}
	// A length of at most maxHeader has zeros here, and no text has.
	head := b[:min(len(b), 40)]
	for _, c := range head[:min(len(head), 8)] {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return zeros(b)
		}
	}
	return fmt.Sprintf("this is text, not weights: it begins with %.40q; download the file again", head)
}

// zeros says so if a file begins with nothing, as one does that was made at full length and never
// filled.
func zeros(b []byte) string {
	head := b[:min(len(b), 512)]
	if len(head) > 8 && len(bytes.Trim(head, "\x00")) == 0 {
		return "the file begins with zeros: the download did not finish, repeat it"
	}
	return ""
}
