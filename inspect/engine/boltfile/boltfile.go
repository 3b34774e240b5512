// Package boltfile reads the bytes of a bolt database (go.etcd.io/bbolt), the
// format of libnetwork's and Podman's state. It is pure and takes no lock: the
// owner of the file may be running, stopped or dead. A copy taken while the
// owner writes may be torn; whatever does not fit is an error, never a crash,
// and every walk is bounded.
package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// ErrCorrupt says that the bytes are no bolt database, or a torn one.
var ErrCorrupt = errors.New("no bolt database, or one that changed while it was copied")

// Layout (bbolt internal/common: page.go, meta.go, bucket.go), little endian on
// every machine that runs containers.
const (
	pageHeader   = 16 // id u64, flags u16, count u16, overflow u32
	branchElem   = 16 // pos u32, ksize u32, pgid u64
	leafElem     = 16 // flags u32, pos u32, ksize u32, vsize u32
	bucketHeader = 16 // root pgid u64, sequence u64
	metaSize     = 64
	magic        = 0xED0CDAED
	version      = 2

	flagBranch = 0x01
	flagLeaf   = 0x02
	flagMeta   = 0x04
	leafBucket = 0x01 // flag of a leaf element: its value is a bucket

	maxDepth = 32 // a tree of 2 keys a page would hold more than any disk
)

// DB is a database in memory. It shares the bytes it was made of.
type DB struct {
	b        []byte
	pageSize uint64
	root     uint64
}

// Bucket is a bucket of a database.
type Bucket struct {
	db     *DB
	root   uint64
	inline []byte // the page itself, for a small bucket; nil otherwise
}

// Parse checks the two meta pages and takes the newer valid one.
func Parse(b []byte) (*DB, error) {
	var best *DB
	var newest uint64
	// The second meta page is one page in; its size is not known when the first
	// is damaged: pages are a power of two from 1 KiB to 64 KiB.
	for _, off := range []int{0, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10} {
		db, tx, ok := meta(b, off)
		if ok && (best == nil || tx > newest) {
			best, newest = db, tx
		}
	}
	if best == nil {
		return nil, ErrCorrupt
	}
	return best, nil
}

func meta(b []byte, off int) (db *DB, tx uint64, ok bool) {
	if len(b) < off+pageHeader+metaSize {
		return nil, 0, false
	}
	le := binary.LittleEndian
	p := b[off:]
	if le.Uint16(p[8:])&flagMeta == 0 {
		return nil, 0, false
	}
	m := p[pageHeader : pageHeader+metaSize]
	size := le.Uint32(m[8:])
	if le.Uint32(m) != magic || le.Uint32(m[4:]) != version || size < 1<<10 || size&(size-1) != 0 || off != 0 && off != int(size) {
		return nil, 0, false
	}
	h := fnv.New64a()
	h.Write(m[:56])
	if h.Sum64() != le.Uint64(m[56:]) {
		return nil, 0, false
	}
	return &DB{b: b, pageSize: uint64(size), root: le.Uint64(m[16:])}, le.Uint64(m[48:]), true
}

// Root is the bucket that holds the top buckets.
func (db *DB) Root() Bucket { return Bucket{db: db, root: db.root} }

// Entry is one key of a bucket: with a value, or with a bucket of its own.
type Entry struct {
	Key    []byte
	Value  []byte // nil when Bucket is set
	Bucket *Bucket
}

// Entries lists a bucket in order of the keys.
func (b Bucket) Entries() ([]Entry, error) {
	w := walk{db: b.db}
	if b.inline != nil {
		if err := w.page(b.inline, 0); err != nil {
			return nil, err
		}
		return w.out, nil
	}
	if err := w.tree(b.root, 0); err != nil {
		return nil, err
	}
	return w.out, nil
}

// Open goes down by names; ok is false when one of them is not a bucket.
func (b Bucket) Open(names ...string) (Bucket, bool, error) {
	for _, n := range names {
		list, err := b.Entries()
		if err != nil {
			return Bucket{}, false, err
		}
		found := false
		for _, e := range list {
			if e.Bucket != nil && string(e.Key) == n {
				b, found = *e.Bucket, true
				break
			}
		}
		if !found {
			return Bucket{}, false, nil
		}
	}
	return b, true, nil
}

type walk struct {
	db      *DB
	out     []Entry
	visited uint64
}

// tree reads the page with that number, its overflow pages behind it.
func (w *walk) tree(id uint64, depth int) error {
	// A tree visits no page twice.
	if w.visited++; w.visited > uint64(len(w.db.b))/w.db.pageSize || depth > maxDepth {
		return fmt.Errorf("walking the tree at page %d: %w", id, ErrCorrupt)
	}
	size := uint64(len(w.db.b))
	if id > size/w.db.pageSize || id*w.db.pageSize+pageHeader > size {
		return fmt.Errorf("page %d is beyond the end: %w", id, ErrCorrupt)
	}
	p := w.db.b[id*w.db.pageSize:]
	if got := binary.LittleEndian.Uint64(p); got != id {
		return fmt.Errorf("page %d says it is %d: %w", id, got, ErrCorrupt)
	}
	whole := (uint64(binary.LittleEndian.Uint32(p[12:])) + 1) * w.db.pageSize
	return w.page(p[:min(whole, uint64(len(p)))], depth)
}

// page reads the elements of a page.
func (w *walk) page(p []byte, depth int) error {
	if len(p) < pageHeader {
		return fmt.Errorf("page of %d bytes: %w", len(p), ErrCorrupt)
	}
	le := binary.LittleEndian
	flags, count := le.Uint16(p[8:]), int(le.Uint16(p[10:]))
	left := uint64(len(p)) // keys and values share the page: they can't overlap
	for i := range count {
		at := pageHeader + i*16
		if at+16 > len(p) {
			return fmt.Errorf("element %d of %d: %w", i, count, ErrCorrupt)
		}
		e := p[at:]
		switch {
		case flags&flagBranch != 0:
			if err := w.tree(le.Uint64(e[8:]), depth+1); err != nil {
				return err
			}
		case flags&flagLeaf != 0:
			if err := w.leaf(e, &left); err != nil {
				return err
			}
		default:
			return fmt.Errorf("page with flags %#x in a tree: %w", flags, ErrCorrupt)
		}
	}
	return nil
}

// leaf reads one element; its key and value lie pos bytes behind its start.
func (w *walk) leaf(e []byte, left *uint64) error {
	le := binary.LittleEndian
	pos, k, v := uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
	if pos+k+v > uint64(len(e)) || k+v > *left {
		return fmt.Errorf("a key of %d and a value of %d bytes: %w", k, v, ErrCorrupt)
	}
	*left -= k + v
	key, val := e[pos:pos+k:pos+k], e[pos+k:pos+k+v:pos+k+v]
	if le.Uint32(e)&leafBucket == 0 {
		w.out = append(w.out, Entry{Key: key, Value: val})
		return nil
	}
	if len(val) < bucketHeader {
		return fmt.Errorf("bucket of %d bytes: %w", len(val), ErrCorrupt)
	}
	b := &Bucket{db: w.db, root: le.Uint64(val)}
	if b.root == 0 {
		b.inline = val[bucketHeader:]
	}
	w.out = append(w.out, Entry{Key: key, Bucket: b})
	return nil
}
