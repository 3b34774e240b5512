package checks

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"io"
	"strings"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// packed are the comments of the functions nd1101 and so on, behind the first paragraph,
// which tells the reader of the code: what a check's page says. They are a third as large so.
//
//go:embed docs.deflate
var packed []byte

// endOfDoc is what stands behind each, and between its code and its text.
const endOfDoc = "\x00"

// docs are the pages of the checks. A package that does not hold what it was built with
// has none: a test says so.
var docs = sync.OnceValue(func() map[diag.Code]string {
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil
	}
	out := map[diag.Code]string{}
	for rest := string(text); rest != ""; {
		var code, doc string
		code, rest, _ = strings.Cut(rest, endOfDoc)
		doc, rest, _ = strings.Cut(rest, endOfDoc)
		out[diag.Code(code)] = doc
	}
	return out
})
