package sqlitefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func words(r Row) []string {
	var out []string
	for _, v := range r {
		switch {
		case v.Null:
			out = append(out, "null")
		case v.Bytes != nil:
			out = append(out, fmt.Sprintf("b%x", v.Bytes))
		case v.Float != 0:
			out = append(out, fmt.Sprintf("f%.17g", v.Float))
		default:
			out = append(out, fmt.Sprintf("i%d", v.Int))
		}
	}
	return out
}

// The database was written by SQLite with pages of 512 bytes, so that its
// tables have interior pages, overflow chains and a deleted row; the JSON is
// what SQLite itself selects from it.
func TestReadsWhatSQLiteWrites(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/small-pages.db")
	if err != nil {
		t.Fatal(err)
	}
	j, err := os.ReadFile("testdata/small-pages.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][][]string
	if err := json.Unmarshal(j, &want); err != nil {
		t.Fatal(err)
	}
	db, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for table, rows := range want {
		got, err := db.Table(table)
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		var lines [][]string
		for _, r := range got {
			lines = append(lines, words(r))
		}
		if diff := cmp.Diff(rows, lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", table, diff)
		}
	}
}

func TestWhatDoesNotFitIsAnError(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/small-pages.db")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(b[:300]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("300 bytes: %v", err)
	}
	db, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Table("Nothing"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a missing table: %v", err)
	}
	cut, err := Parse(b[:len(b)/2])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cut.Table("ContainerConfig"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("half a file: %v", err)
	}
	utf16 := append([]byte(nil), b...)
	utf16[59] = 2
	if _, err := Parse(utf16); !errors.Is(err, ErrCorrupt) {
		t.Errorf("text that is no UTF-8: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	b, err := os.ReadFile("testdata/small-pages.db")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) {
		db, err := Parse(b)
		if err != nil {
			return
		}
		for _, t := range []string{"ContainerConfig", "ContainerState", "Kinds"} {
			_, _ = db.Table(t) // any error is fine, a crash or a hang is not
		}
	})
}
