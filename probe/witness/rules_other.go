//go:build !linux

package witness

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RuleTrace is Linux's.
type RuleTrace struct{}

// NewRuleTrace says that there is none.
func NewRuleTrace([]*snap.Netns) (*RuleTrace, error) {
	return nil, fmt.Errorf("trace of rules: %w", snap.ErrUnsupported)
}

// Read reads nothing.
func (*RuleTrace) Read(uint16) ([]snap.Ruled, error) { return nil, nil }

// Close does nothing.
func (*RuleTrace) Close() {}
