package fixups

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Proc is a process as an operation remembers it: pids are reused, so its name
// and, where it is known, its start time must still be the same.
type Proc struct {
	PID   int    `json:"pid"`
	Name  string `json:"name"`            // comm
	Start uint64 `json:"start,omitempty"` // ticks since boot; 0 not known
}

// ProcessContinue lets a stopped process go on (SIGCONT).
type ProcessContinue struct {
	Proc
}

// ProcessStop stops it again (SIGSTOP): what undoes ProcessContinue.
type ProcessStop struct {
	Proc
}

func (*ProcessContinue) Kind() string { return "process-continue" }
func (*ProcessStop) Kind() string     { return "process-stop" }

// Netns is "": a process is not of a namespace's own.
func (p Proc) Netns() string { return "" }

func (o *ProcessContinue) Describe() string {
	return fmt.Sprintf("let process %d (%s) go on", o.PID, o.Name)
}

func (o *ProcessStop) Describe() string { return fmt.Sprintf("stop process %d (%s)", o.PID, o.Name) }

func (o *ProcessContinue) Shell() []string {
	return []string{words("kill", "-CONT", strconv.Itoa(o.PID))}
}

func (o *ProcessStop) Shell() []string { return []string{words("kill", "-STOP", strconv.Itoa(o.PID))} }

// eachProcess calls f for every mention of a process; the pointers may be replaced.
func eachProcess(s *snap.Snapshot, f func(**snap.Process)) {
	for i := range s.Containers {
		if x := &s.Containers[i].Process; *x != nil {
			f(x)
		}
	}
	for i := range s.Netns {
		for j := range s.Netns[i].Links {
			if x := &s.Netns[i].Links[j].Reader; *x != nil {
				f(x)
			}
		}
		for j := range s.Netns[i].Sockets {
			if x := &s.Netns[i].Sockets[j].Process; *x != nil {
				f(x)
			}
		}
	}
}

// Each calls f for every mention of the process; false when there is none.
func (p Proc) Each(s *snap.Snapshot, f func(**snap.Process)) (found bool) {
	eachProcess(s, func(x **snap.Process) {
		if (*x).PID == p.PID {
			found = true
			f(x)
		}
	})
	return found
}

// state is its state, "" when the snapshot does not know the process.
func (p Proc) state(s *snap.Snapshot) string {
	out := ""
	p.Each(s, func(x **snap.Process) { out = (*x).State })
	return out
}

func (p Proc) set(s *snap.Snapshot, state string) error {
	if !p.Each(s, func(x **snap.Process) {
		c := **x
		c.State = state
		*x = &c
	}) {
		return snap.NotFoundf("no process %d (%s)", p.PID, p.Name)
	}
	return nil
}

func (o *ProcessContinue) On(s *snap.Snapshot) error { return o.set(s, "S") }
func (o *ProcessStop) On(s *snap.Snapshot) error     { return o.set(s, "T") }

func (o *ProcessContinue) Inverse(s *snap.Snapshot) (Op, error) {
	if o.state(s) != "T" {
		return nil, nil
	}
	return &ProcessStop{o.Proc}, nil
}

func (o *ProcessStop) Inverse(s *snap.Snapshot) (Op, error) {
	if st := o.state(s); st == "T" || st == "" {
		return nil, nil
	}
	return &ProcessContinue{o.Proc}, nil
}

func (o *ProcessContinue) Risk() Risk { return RiskLow }
func (o *ProcessStop) Risk() Risk     { return RiskHigh }

func (o *ProcessContinue) Object(s *snap.Snapshot) any { return o.state(s) == "T" }
func (o *ProcessStop) Object(s *snap.Snapshot) any     { return o.state(s) == "T" }

func (o *ProcessContinue) Holds(s *snap.Snapshot) bool {
	st := o.state(s)
	return st != "" && st != "T"
}
func (o *ProcessStop) Holds(s *snap.Snapshot) bool { return o.state(s) == "T" }
