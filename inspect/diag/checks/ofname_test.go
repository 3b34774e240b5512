package checks

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// TestANameGoesFirstWhereItAloneIsAskedFor: before a policy that keeps its asker from the
// servers (72), and behind what stops a flow that somebody asked for as well.
func TestANameGoesFirstWhereItAloneIsAskedFor(t *testing.T) {
	t.Parallel()
	const policy = 72 // of detectND3101
	alone, expected := &diag.Input{Flows: []diag.FlowCase{{}}}, &diag.NameCase{}
	asked := &diag.NameCase{Asked: true}
	if w := ofName(alone, asked); w <= policy {
		t.Errorf("asked for alone: %d", w)
	}
	if w := ofName(&diag.Input{Flows: []diag.FlowCase{{Asked: true}}}, asked); w >= policy {
		t.Errorf("asked for beside a flow: %d", w)
	}
	if w := ofName(alone, expected); w >= policy {
		t.Errorf("nobody asked for it: %d", w)
	}
}
