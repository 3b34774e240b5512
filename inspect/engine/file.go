package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Sizes of the engines' files. A container's configuration has a few KiB, one
// with thousands of labels and binds some hundred.
const (
	maxConfig = 4 << 20
	maxStore  = 64 << 20 // the databases: libnetwork's has 128 KiB, Podman's some MiB
	maxDir    = 20000    // entries of one directory
)

// kindOf folds the errors of files into snap's kinds.
func kindOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return snap.Hint(snap.As(snap.ErrPermission, "", err), "run as root")
	case errors.Is(err, fs.ErrNotExist):
		return snap.As(snap.ErrNotFound, "", err)
	}
	return err
}

// readFile reads a regular file of at most limit bytes. FIFOs and devices are
// refused, and opening one does not wait: these are engines' own files, where
// nothing else has a right to be.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, kindOf(err)
	}
	defer f.Close() //nolint:errcheck // only read
	st, err := f.Stat()
	if err != nil {
		return nil, kindOf(err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: %w", path, snap.ErrUnsupported)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, kindOf(err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes: %w", path, limit, snap.ErrLimit)
	}
	return b, nil
}

// readJSON reads a file of JSON into v, a pointer.
func readJSON(path string, v any) error {
	b, err := readFile(path, maxConfig)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// readDir lists at most maxDir names, sorted. more says that there were others.
func readDir(path string) (names []string, more bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, kindOf(err)
	}
	defer f.Close() //nolint:errcheck // only read
	names, err = f.Readdirnames(maxDir + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, kindOf(err)
	}
	if len(names) > maxDir {
		names, more = names[:maxDir], true
	}
	sortStrings(names)
	return names, more, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
