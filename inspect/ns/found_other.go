//go:build !linux

package ns

import (
	"context"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Discover always fails here.
func Discover(context.Context, Options) ([]Found, []snap.Gap, error) {
	return nil, nil, fmt.Errorf("finding network namespaces: %w", snap.ErrUnsupported)
}

// Open always fails here.
func (f *Found) Open() (*Handle, error) { return Open(f.Path) }

// OpenPid always fails here.
func OpenPid(pid int) (*Handle, error) { return Open(fmt.Sprintf("of process %d", pid)) }

// ScanProcs always fails here.
func ScanProcs(context.Context) (*Procs, error) {
	return nil, fmt.Errorf("reading the list of processes: %w", snap.ErrUnsupported)
}

// ReadProc always fails here.
func ReadProc(pid int) (Proc, error) {
	return Proc{}, fmt.Errorf("reading process %d: %w", pid, snap.ErrUnsupported)
}

// Args is nil here.
func (p *Procs) Args(int) []string { return nil }

// Files are unknown here.
func (p *Procs) Files(int) (open, limit int) { return 0, 0 }

// Look always fails here.
func Look(name string) (string, error) {
	return "", fmt.Errorf("program %s: %w", name, snap.ErrUnsupported)
}

// Command always fails here.
func Command(context.Context, *Handle, string, ...string) ([]byte, error) {
	return nil, snap.ErrUnsupported
}

// Run always fails here.
func (t Tool) Run(context.Context, *Handle) ([]byte, error) { return nil, snap.ErrUnsupported }

// Capabilities is empty here.
func Capabilities() []Capability { return nil }

// OpenHost always fails here.
func OpenHost(spec string) (*Handle, error) { return Open("of the host") }
