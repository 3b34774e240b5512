package engine

import (
	"context"
	"net/url"

	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// complaints asks for what programs that came to an end said last. That nobody knows is no
// gap: some ways of logging can't be read.
func (r *dockerRead) complaints(ctx context.Context, api *dockerapi.Client, all []*snap.Container) {
	ctx, cancel := context.WithTimeout(ctx, r.m.deadline()/4) // a log that hangs must not cost what comes after
	defer cancel()
	n := 0
	for _, c := range all {
		if c == nil || !ended(c) {
			continue
		}
		if n++; n > maxComplaints {
			return
		}
		raw, err := api.Ask(ctx, "/containers/"+c.ID+"/logs", url.Values{"stdout": {"1"}, "stderr": {"1"}, "tail": {logLines}})
		if err == nil {
			c.Complaint = complaint(unframed(raw))
		}
	}
}
