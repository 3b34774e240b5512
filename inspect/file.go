package inspect

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxFile is the most that Load takes, unpacked: a host with 1,000 containers,
// 50,000 rules and a full conntrack table writes some 300 MB.
const maxFile = 1 << 30

// Save writes a snapshot as packed JSON.
func Save(w io.Writer, s *snap.Snapshot) error {
	z := gzip.NewWriter(w)
	if err := saveJSON(z, s); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing snapshot: %w", err)
	}
	return nil
}

// saveJSON writes a snapshot as plain JSON, indented by one blank.
func saveJSON(w io.Writer, s *snap.Snapshot) error {
	b := bufio.NewWriterSize(w, 64<<10)
	e := json.NewEncoder(b)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("writing snapshot: %w", err)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing snapshot: %w", err)
	}
	return nil
}

// WriteFile saves a snapshot in a file that only its owner may read: plain
// when the name ends in ".json", else packed. A file that is there already,
// also a symbolic link, is an error (fs.ErrExist); with force it is replaced,
// never written through.
func WriteFile(path string, s *snap.Snapshot, force bool) error {
	save := Save
	if strings.HasSuffix(path, ".json") {
		save = saveJSON
	}
	if err := WriteNew(path, force, func(w io.Writer) error { return save(w, s) }); err != nil {
		return fmt.Errorf("writing snapshot: %w", err)
	}
	return nil
}

// WriteNew writes a file for its owner alone. What is there is left alone, a
// symbolic link, too; with force it is replaced, as a whole or not at all.
func WriteNew(path string, force bool, write func(io.Writer) error) (err error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	var f *os.File
	if force {
		// A device or a FIFO is nobody's old file: renaming over /dev/null takes it
		// from the whole machine.
		if i, err := os.Lstat(path); err == nil && !i.Mode().IsRegular() && i.Mode()&fs.ModeSymlink == 0 {
			return snap.Hint(&fs.PathError{Op: "replace", Path: path, Err: errors.New("it is no regular file")}, "choose another name")
		}
		f, err = os.CreateTemp(filepath.Dir(path), ".netdoctor-*") // 0600 by itself
	} else {
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = snap.Hint(err, "choose another name, or --force to replace it")
		}
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // half a file is of no use
		}
	}()
	err = write(f)
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = closeErr
	}
	if err == nil && force {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// ReadFile loads a snapshot from a file.
func ReadFile(path string) (*snap.Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading snapshot: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	s, err := Load(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Load reads what Save or saveJSON wrote. Errors say where the file is broken.
func Load(r io.Reader) (*snap.Snapshot, error) {
	b, err := unpack(r)
	if err != nil {
		return nil, err
	}
	var head struct {
		Schema *int   `json:"schema"`
		Tool   string `json:"tool"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, where(b, err)
	}
	switch {
	case head.Schema == nil || *head.Schema <= 0:
		return nil, errors.New("no snapshot: it has no schema number")
	case *head.Schema > snap.Schema:
		return nil, snap.Hint(fmt.Errorf("snapshot of schema %d, written by %q; this program reads up to %d: %w",
			*head.Schema, head.Tool, snap.Schema, snap.ErrUnsupported), "use the newer netdoctor that wrote it")
	}
	s := &snap.Snapshot{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, where(b, err)
	}
	if err := sound(s); err != nil {
		return nil, fmt.Errorf("no sound snapshot: %w", err)
	}
	return s, nil
}

// unpack reads everything, and unpacks it when it begins as gzip does.
func unpack(r io.Reader) ([]byte, error) {
	br := bufio.NewReader(r)
	magic, err := br.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading snapshot: %w", err)
	}
	if len(magic) == 0 {
		return nil, errors.New("snapshot is empty")
	}
	var in io.Reader = br
	packed := bytes.Equal(magic, []byte{0x1f, 0x8b})
	if packed {
		if in, err = gzip.NewReader(br); err != nil {
			return nil, fmt.Errorf("unpacking snapshot: %w", err)
		}
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch {
	case packed && errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("snapshot is cut off after %d bytes unpacked", len(b))
	case err != nil:
		return nil, fmt.Errorf("reading snapshot after %d bytes: %w", len(b), err)
	case len(b) > maxFile:
		return nil, fmt.Errorf("snapshot is larger than %d bytes: %w", maxFile, snap.ErrLimit)
	}
	return b, nil
}

// where tells line and column of an error of encoding/json.
func where(b []byte, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	offset := int64(-1)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
		if offset >= int64(len(b)) {
			return fmt.Errorf("snapshot is cut off at byte %d: %w", len(b), err)
		}
	case errors.As(err, &typ):
		offset = typ.Offset
	}
	if offset < 0 || offset > int64(len(b)) {
		return fmt.Errorf("no snapshot: %w", err)
	}
	before := b[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	col := int(offset) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Errorf("no snapshot: line %d, column %d: %w", line, col, err)
}

// sound checks what every reader of a snapshot relies on, and gives lists that
// were left out their empty value.
func sound(s *snap.Snapshot) error {
	ids := map[string]bool{}
	for i := range s.Netns {
		id := s.Netns[i].ID
		if id == "" || ids[id] {
			return fmt.Errorf("namespace %d of %d: its id %q is empty or taken", i+1, len(s.Netns), id)
		}
		ids[id] = true
	}
	if !ids[s.Host.Netns] {
		return fmt.Errorf("the host's namespace %q is not in it", s.Host.Netns)
	}
	refs := map[string]bool{}
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Ref == "" || refs[c.Ref] {
			return fmt.Errorf("container %d of %d: its reference %q is empty or taken", i+1, len(s.Containers), c.Ref)
		}
		refs[c.Ref] = true
	}
	return nil
}
