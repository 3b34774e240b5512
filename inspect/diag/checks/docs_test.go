package checks

import (
	"bytes"
	"compress/flate"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var checkFunc = regexp.MustCompile(`^nd[0-9]{4}$`)

// written are the texts of the checks as they stand in the code, one behind the other.
func written(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("nd*.go")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	var b strings.Builder
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !checkFunc.MatchString(fn.Name.Name) {
				continue
			}
			doc := docOf(fn.Doc)
			if doc == "" {
				t.Errorf("%s: %s has no text for its page", name, fn.Name.Name)
			}
			b.WriteString(strings.ToUpper(fn.Name.Name) + endOfDoc + doc + endOfDoc)
		}
	}
	return b.String()
}

// docOf is a comment behind its first paragraph, as people wrote it before gofmt set what is
// indented apart by a tab and an empty line.
func docOf(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	var lines []string
	for _, l := range c.List {
		text := strings.TrimPrefix(strings.TrimPrefix(l.Text, "//"), " ")
		if rest, ok := strings.CutPrefix(text, "\t"); ok {
			if n := len(lines); n > 1 && lines[n-1] == "" && strings.HasSuffix(lines[n-2], ":") {
				lines = lines[:n-1]
			}
			text = "    " + rest
		}
		lines = append(lines, text)
	}
	first := slices.Index(lines, "")
	if first < 0 {
		return ""
	}
	return strings.Join(lines[first+1:], "\n")
}

// TestDocsArePacked: what explain shows is what stands in the code.
func TestDocsArePacked(t *testing.T) {
	want := written(t)
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("docs.deflate", b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		packed = b.Bytes()
	}
	var got strings.Builder
	n := 0
	for rest := want; rest != ""; n++ {
		var code string
		code, rest, _ = strings.Cut(rest, endOfDoc)
		_, rest, _ = strings.Cut(rest, endOfDoc)
		for _, c := range All() {
			if string(c.Code) == code {
				got.WriteString(code + endOfDoc + c.Doc + endOfDoc)
			}
		}
	}
	if got.String() != want || n != len(each) {
		t.Errorf("the packed texts are not those of the code (%d of %d checks): go generate ./inspect/diag/checks", n, len(each))
	}
}
