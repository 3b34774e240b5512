package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ErrUsage marks what the caller did wrong: an argument, a flag, an input file.
// It ends with exit code 2.
var ErrUsage = errors.New("wrong usage")

// usage is an error of kind ErrUsage that reads like its own text.
type usage struct{ msg string }

func (u usage) Error() string        { return u.msg }
func (u usage) Is(target error) bool { return target == ErrUsage }

// Usagef makes an error of kind ErrUsage.
func Usagef(format string, args ...any) error {
	return usage{fmt.Sprintf(format, args...)}
}

// badFile is a bad input file: wrong usage with a cause.
type badFile struct{ error }

func (b badFile) Unwrap() error        { return b.error }
func (b badFile) Is(target error) bool { return target == ErrUsage }

// ErrPending says that changes are pending: nothing was done because nobody
// said yes.
var ErrPending = errors.New("changes are pending")

// ErrRolledBack says that a change failed and everything was put back.
var ErrRolledBack = errors.New("the change failed and was rolled back")

// ErrRollbackIncomplete says that a change failed and something of it is left.
var ErrRollbackIncomplete = errors.New("the change failed and its rollback is incomplete")

// errUndecided says that a missing privilege or unreadable state decides the answer.
var errUndecided = errors.New("could not be determined")

// noSuch is the error for a name that nothing has, with what was perhaps meant.
func noSuch(what, text string, known []string) error {
	otherwise := "netdoctor ls"
	switch what {
	case "network namespace":
		otherwise = "netdoctor ls netns"
	case "network":
		otherwise = "netdoctor ls networks"
	}
	if len(known) == 0 {
		otherwise = "nothing of that kind was found; netdoctor capabilities says what could not be read"
	}
	return Meant(Usagef("no %s is called %q here", what, text), text, known, otherwise)
}

// ambiguous is the error for a name that several things have.
func ambiguous(text string, candidates []string) error {
	return snap.Hint(Usagef("%q is ambiguous: %s", text, strings.Join(candidates, ", ")), "give one of them in full, as "+candidates[0])
}

// ended turns the end of a context into an error that says so.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return snap.Hint(fmt.Errorf("%w: --timeout is over", snap.ErrTimeout), "give it more time: --timeout 2m")
		}
		return err
	}
	return nil
}
