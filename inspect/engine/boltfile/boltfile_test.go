package boltfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

// flat prints everything in a bucket, a line an entry.
func flat(b Bucket, indent string, out *[]string, depth int) error {
	if depth > 8 {
		return ErrCorrupt
	}
	list, err := b.Entries()
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Bucket == nil {
			*out = append(*out, fmt.Sprintf("%s%q=%q", indent, e.Key, e.Value))
			continue
		}
		*out = append(*out, fmt.Sprintf("%s[%q]", indent, e.Key))
		if err := flat(*e.Bucket, indent+" ", out, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// theirs prints the same by bbolt itself.
func theirs(b *bolt.Bucket, indent string, out *[]string) error {
	return b.ForEach(func(k, v []byte) error {
		if v != nil {
			*out = append(*out, fmt.Sprintf("%s%q=%q", indent, k, v))
			return nil
		}
		*out = append(*out, fmt.Sprintf("%s[%q]", indent, k))
		return theirs(b.Bucket(k), indent+" ", out)
	})
}

// makeDB writes a database by bbolt and gives its bytes and its contents.
func makeDB(t *testing.T, fill func(*bolt.Tx) error) (file []byte, want []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(fill); err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			want = append(want, fmt.Sprintf("[%q]", name))
			return theirs(b, " ", &want)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(path) // while bbolt holds its lock
	if err != nil {
		t.Fatal(err)
	}
	return file, want
}

func TestReadsWhatBboltWrites(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*bolt.Tx) error{
		"an empty database": func(*bolt.Tx) error { return nil },
		"small buckets in buckets": func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte("ctr"))
			if err != nil {
				return err
			}
			c, err := b.CreateBucket([]byte("id"))
			if err != nil {
				return err
			}
			return c.Put([]byte("state"), []byte(`{"pid":7}`))
		},
		"a tree with branches and values larger than a page": func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte("libnetwork"))
			if err != nil {
				return err
			}
			for i := range 3000 {
				if err := b.Put(fmt.Appendf(nil, "docker/network/v1.0/network/%06d/", i), []byte(strings.Repeat("x", i%9000))); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, fill := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, want := makeDB(t, fill)
			db, err := Parse(file)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if err := flat(db.Root(), "", &got, 0); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenGoesDownByNames(t *testing.T) {
	t.Parallel()
	file, _ := makeDB(t, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("a"))
		if err != nil {
			return err
		}
		if err := b.Put([]byte("v"), []byte("1")); err != nil {
			return err
		}
		_, err = b.CreateBucket([]byte("b"))
		return err
	})
	db, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"a": true, "a b": true, "a v": false, "c": false} {
		if _, ok, err := db.Root().Open(strings.Fields(path)...); ok != want || err != nil {
			t.Errorf("Open(%s) = %v, %v, want %v", path, ok, err, want)
		}
	}
}

func TestACutFileIsAnError(t *testing.T) {
	t.Parallel()
	file, _ := makeDB(t, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("a"))
		if err != nil {
			return err
		}
		for i := range 500 {
			if err := b.Put(fmt.Appendf(nil, "%04d", i), make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := Parse(file[:70]); err == nil {
		t.Error("70 bytes are taken for a database")
	}
	db, err := Parse(file[:5*4096])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := flat(db.Root(), "", &got, 0); err == nil {
		t.Error("a database cut after 5 pages is read without an error")
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"small.db", "cyclic.db"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		db, err := Parse(b)
		if err != nil {
			return
		}
		var out []string
		_ = flat(db.Root(), "", &out, 7) // two levels; any error is fine, a crash or a hang is not
	})
}
