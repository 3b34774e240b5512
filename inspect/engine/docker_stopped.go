package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dockerEvent is the part of an event that matters.
type dockerEvent struct {
	Action   string
	Actor    struct{ ID string }
	TimeNano int64 `json:"timeNano"`
}

// stopped marks the containers that a person had Docker stop. Their exit code
// does not tell: a program that heeds no SIGTERM is killed after the grace
// period and ends with 137, as after an accident; one that heeds it ends with 0, as a
// job that has done its work. Docker tells in its events, of
// which it keeps the last 256 (moby daemon/events/events.go); of earlier ends, in
// the container's file (moby daemon/kill.go: HasBeenManuallyStopped), which
// "docker kill" marks as well. What can't be read leaves a container unmarked.
func (r *dockerRead) stopped(ctx context.Context, api *dockerapi.Client, all []*snap.Container) {
	var ended []*snap.Container
	since := time.Time{}
	for _, c := range all {
		if c == nil || c.State != "exited" || c.ExitCode != 0 && c.ExitCode <= 125 || c.OOMKilled || c.Started.IsZero() || c.Finished.IsZero() {
			continue
		}
		ended = append(ended, c)
		if since.IsZero() || c.Finished.Before(since) {
			since = c.Finished
		}
	}
	if len(ended) == 0 {
		return
	}
	died, stop := r.ends(ctx, api, since.Add(-time.Second))
	for _, c := range ended {
		if from := c.Started.UnixNano(); died[c.ID] >= from { // in one order with its stop, or the other
			c.Stopped = stop[c.ID] >= from
			continue
		}
		dir := r.m.files(r.process(), filepath.Join(r.e.DataRoot, "containers", c.ID))
		if file, err := storedContainer(dir, c.ID); err == nil {
			c.Stopped = file.Stopped
		}
	}
}

// ends are the moments when containers last died, and when a stop of them was
// last complete, as far back as Docker remembers.
func (r *dockerRead) ends(ctx context.Context, api *dockerapi.Client, since time.Time) (died, stop map[string]int64) {
	died, stop = map[string]int64{}, map[string]int64{}
	now := time.Now() // past when Docker reads it, so that it does not wait for more
	raw, err := api.Ask(ctx, "/events", url.Values{
		"since":   {strconv.FormatInt(since.Unix(), 10)},
		"until":   {fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond())},
		"filters": {`{"type":["container"],"event":["die","stop"]}`},
	})
	if err != nil {
		return died, stop // the files are the second source
	}
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var e dockerEvent
		if d.Decode(&e) != nil {
			return died, stop
		}
		switch e.Action {
		case "die":
			died[e.Actor.ID] = e.TimeNano
		case "stop":
			stop[e.Actor.ID] = e.TimeNano
		}
	}
}
