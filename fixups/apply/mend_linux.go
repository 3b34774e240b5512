package apply

import (
	"context"
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
)

// Mend carries out those operations whose end is not reached any more, and says
// in words which they were. Each is safe to be done by itself and again, so that
// one that was cut off needs no undoing. Rules and files are left out.
func (b *Builder) Mend(ctx context.Context, ops ...fixups.Op) (mended []string, err error) {
	for _, op := range fixups.Flat(ops...) {
		if _, file := op.(*fixups.FilePut); file || ruleOp(op) {
			continue
		}
		for _, part := range b.m.parts(ctx, op) {
			now, err := b.m.look(ctx, part)
			if err != nil {
				return mended, fmt.Errorf("%s: %w", part.Describe(), err)
			}
			if fixups.Holds(part, now) {
				continue
			}
			if err := b.a.failpoint("mend"); err != nil {
				return mended, err
			}
			if err := b.m.makeOne(ctx, part); err != nil {
				return mended, fmt.Errorf("%s: %w", part.Describe(), err)
			}
			mended = append(mended, part.Describe())
		}
	}
	return mended, nil
}

// parts are what is to hold of a device that is there: its bridge, and that it
// is up.
func (m *machine) parts(ctx context.Context, op fixups.Op) []fixups.Op {
	o, ok := op.(*fixups.LinkAdd)
	if !ok {
		return []fixups.Op{op}
	}
	m.forget(o.Where, o.Link.Name) // it may be another one by now
	if err := m.know(ctx, o.Where, o.Link.Name); err != nil {
		return []fixups.Op{op} // it is not there
	}
	var out []fixups.Op
	if o.Master != "" {
		out = append(out, &fixups.LinkMaster{Where: o.Where, Name: o.Link.Name, Master: o.Master})
	}
	if o.Up {
		out = append(out, &fixups.LinkSet{Where: o.Where, Name: o.Link.Name, Up: true})
	}
	return out
}
