package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/netdoctor/netdoctor/cmd/render"
)

// patience is how long a person waits without wondering.
const patience = time.Second

// progress says on a terminal what is being waited for, after a second of
// waiting, and takes the line away again. Nothing moves.
type progress struct {
	w io.Writer

	mu    sync.Mutex
	timer *time.Timer
	shown bool
}

// waiting is told what is being waited for, "" for nothing.
func (p *progress) waiting(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K") //nolint:errcheck // only decoration
		p.shown = false
	}
	if what == "" {
		return
	}
	p.timer = time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.shown = true
		fmt.Fprintf(p.w, "waiting: %s ", render.Clean(what)) //nolint:errcheck // only decoration
	})
}
