// Package sqlitefile reads the rows of tables from the bytes of an SQLite
// database, the format of newer Podmans' state. It is pure, takes no lock, and
// knows tables with rowids only, which is what is needed; whatever does not fit
// is an error, never a crash, and every walk is bounded.
//
// The format is described at https://www.sqlite.org/fileformat2.html; section
// numbers in the comments are its.
package sqlitefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrCorrupt says that the bytes are no SQLite database, or a torn one.
var ErrCorrupt = errors.New("no SQLite database, or one that changed while it was copied")

const (
	headerSize = 100
	magic      = "SQLite format 3\x00"
	encUTF8    = 1

	pageInterior = 0x05 // of a table
	pageLeaf     = 0x0d // of a table

	maxDepth   = 32
	maxColumns = 2000 // SQLite's own default limit
)

// DB is a database in memory. It shares the bytes it was made of.
type DB struct {
	b      []byte
	page   int // bytes
	usable int // bytes of a page without the reserved ones at its end
}

// Value is one column of a row.
type Value struct {
	Null  bool
	Int   int64   // of an integer column
	Float float64 // of a real column
	Bytes []byte  // of a text or blob column
}

// Text is a text column as a string; "" for others.
func (v Value) Text() string { return string(v.Bytes) }

// Row is the columns of a row in the order of the table's declaration. Columns
// that were added later may be missing at its end.
type Row []Value

// Parse checks the header (1.3).
func Parse(b []byte) (*DB, error) {
	if len(b) < headerSize || string(b[:16]) != magic {
		return nil, ErrCorrupt
	}
	page := int(binary.BigEndian.Uint16(b[16:]))
	if page == 1 {
		page = 65536
	}
	if page < 512 || page&(page-1) != 0 || len(b) < page {
		return nil, fmt.Errorf("page size %d: %w", page, ErrCorrupt)
	}
	db := &DB{b: b, page: page, usable: page - int(b[20])}
	if db.usable < 480 {
		return nil, fmt.Errorf("usable page size %d: %w", db.usable, ErrCorrupt)
	}
	if enc := binary.BigEndian.Uint32(b[56:]); enc > encUTF8 {
		return nil, fmt.Errorf("text encoding %d: %w", enc, ErrCorrupt)
	}
	return db, nil
}

// Table reads all rows of a table, whose name is compared without case. A
// table that is not there is an error.
func (db *DB) Table(name string) ([]Row, error) {
	schema, err := db.rows(1) // 2.6: type, name, tbl_name, rootpage, sql
	if err != nil {
		return nil, err
	}
	for _, r := range schema {
		if len(r) >= 4 && r[0].Text() == "table" && strings.EqualFold(r[1].Text(), name) {
			return db.rows(r[3].Int)
		}
	}
	return nil, fmt.Errorf("no table %s: %w", name, ErrCorrupt)
}

func (db *DB) rows(root int64) ([]Row, error) {
	w := walk{db: db}
	if err := w.tree(root, 0); err != nil {
		return nil, err
	}
	return w.out, nil
}

type walk struct {
	db      *DB
	out     []Row
	visited int
	copied  int // bytes of rows; no more than the file can hold
}

// at is the page with that number, from 1.
func (db *DB) at(n int64) ([]byte, error) {
	if n < 1 || n > int64(len(db.b)/db.page) {
		return nil, fmt.Errorf("page %d is beyond the end: %w", n, ErrCorrupt)
	}
	off := (int(n) - 1) * db.page
	return db.b[off : off+db.page], nil
}

// tree walks a table b-tree (1.6).
func (w *walk) tree(n int64, depth int) error {
	if w.visited++; w.visited > len(w.db.b)/w.db.page || depth > maxDepth {
		return fmt.Errorf("walking the tree at page %d: %w", n, ErrCorrupt)
	}
	p, err := w.db.at(n)
	if err != nil {
		return err
	}
	h := p
	if n == 1 {
		h = p[headerSize:]
	}
	count := int(binary.BigEndian.Uint16(h[3:]))
	cells := h[8:]
	if h[0] == pageInterior {
		cells = h[12:]
	} else if h[0] != pageLeaf {
		return fmt.Errorf("page %d of type %#x in a table: %w", n, h[0], ErrCorrupt)
	}
	if len(cells) < 2*count {
		return fmt.Errorf("page %d with %d cells: %w", n, count, ErrCorrupt)
	}
	for i := range count {
		off := int(binary.BigEndian.Uint16(cells[2*i:]))
		if off+4 > w.db.usable {
			return fmt.Errorf("cell %d of page %d: %w", i, n, ErrCorrupt)
		}
		if h[0] == pageInterior {
			err = w.tree(int64(binary.BigEndian.Uint32(p[off:])), depth+1)
		} else {
			err = w.cell(p[:w.db.usable], off)
		}
		if err != nil {
			return err
		}
	}
	if h[0] == pageInterior {
		return w.tree(int64(binary.BigEndian.Uint32(h[8:])), depth+1)
	}
	return nil
}

// cell reads a row: its size, its rowid, its bytes, the first of them here and
// the others in a chain of overflow pages (1.6, 1.7).
func (w *walk) cell(p []byte, off int) error {
	size, off, ok := varint(p, off)
	if !ok {
		return ErrCorrupt
	}
	_, off, ok = varint(p, off) // the rowid
	if !ok || size > uint64(len(w.db.b)) {
		return fmt.Errorf("row of %d bytes: %w", size, ErrCorrupt)
	}
	total := int(size)
	if w.copied += total; w.copied > len(w.db.b) {
		return fmt.Errorf("rows overlap: %w", ErrCorrupt)
	}
	local := total
	if maxLocal := w.db.usable - 35; total > maxLocal {
		minLocal := (w.db.usable-12)*32/255 - 23
		local = minLocal + (total-minLocal)%(w.db.usable-4)
		if local > maxLocal {
			local = minLocal
		}
	}
	if off+local > len(p) {
		return fmt.Errorf("row of %d bytes: %w", size, ErrCorrupt)
	}
	data := p[off : off+local : off+local]
	if local < total {
		if off+local+4 > len(p) {
			return ErrCorrupt
		}
		data = append(make([]byte, 0, total), data...)
		for next := int64(binary.BigEndian.Uint32(p[off+local:])); len(data) < total; {
			o, err := w.db.at(next)
			if err != nil {
				return err
			}
			next = int64(binary.BigEndian.Uint32(o))
			data = append(data, o[4:min(w.db.usable, 4+total-len(data))]...)
		}
	}
	row, err := record(data)
	if err == nil {
		w.out = append(w.out, row)
	}
	return err
}

// record reads the header of serial types and then the values (2.1). A NULL in
// the place of an INTEGER PRIMARY KEY stands for the rowid; no table that is
// read here has one.
func record(b []byte) (Row, error) {
	end, off, ok := varint(b, 0)
	if !ok || end > uint64(len(b)) {
		return nil, fmt.Errorf("header of a row: %w", ErrCorrupt)
	}
	body := int(end)
	var row Row
	for off < int(end) {
		var typ uint64
		if typ, off, ok = varint(b[:end], off); !ok || len(row) >= maxColumns {
			return nil, fmt.Errorf("header of a row: %w", ErrCorrupt)
		}
		v, n, err := value(b[body:], typ)
		if err != nil {
			return nil, err
		}
		body += n
		row = append(row, v)
	}
	return row, nil
}

// value reads one column and says how many bytes it has.
func value(b []byte, typ uint64) (Value, int, error) {
	size := 0
	switch {
	case typ >= 12:
		if typ-12 > uint64(len(b))*2+1 {
			return Value{}, 0, fmt.Errorf("column beyond its row: %w", ErrCorrupt)
		}
		size = int(typ-12) / 2
	case typ <= 4:
		size = int(typ)
	case typ == 5:
		size = 6
	case typ == 6, typ == 7:
		size = 8
	case typ == 10, typ == 11:
		return Value{}, 0, fmt.Errorf("serial type %d: %w", typ, ErrCorrupt)
	}
	if size > len(b) {
		return Value{}, 0, fmt.Errorf("column beyond its row: %w", ErrCorrupt)
	}
	b = b[:size:size]
	switch {
	case typ == 0:
		return Value{Null: true}, 0, nil
	case typ == 8, typ == 9:
		return Value{Int: int64(typ - 8)}, 0, nil
	case typ >= 12:
		return Value{Bytes: b}, size, nil
	}
	var n uint64
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	if typ == 7 {
		return Value{Float: math.Float64frombits(n)}, size, nil
	}
	shift := 64 - 8*size
	return Value{Int: int64(n<<shift) >> shift}, size, nil // sign-extended
}

// varint reads SQLite's big-endian number of 1 to 9 bytes (1.6).
func varint(b []byte, off int) (v uint64, next int, ok bool) {
	for i := range 9 {
		if off+i >= len(b) {
			return 0, 0, false
		}
		x := b[off+i]
		if i == 8 {
			return v<<8 | uint64(x), off + 9, true
		}
		v = v<<7 | uint64(x&0x7f)
		if x < 0x80 {
			return v, off + i + 1, true
		}
	}
	return 0, 0, false
}
