package snap

import (
	"errors"
	"fmt"
	"strings"
)

// Kinds of errors, to be tested with errors.Is.
var (
	ErrPermission  = errors.New("permission denied")
	ErrNotFound    = errors.New("not found")
	ErrUnsupported = errors.New("not supported here")
	ErrTool        = errors.New("host program missing or too old")
	ErrTorn        = errors.New("changed while it was read")
	ErrTimeout     = errors.New("timed out")
	ErrVanished    = errors.New("vanished while it was read")
	ErrLimit       = errors.New("over the limit")
)

// Kind is the Gap.Kind of an error.
func Kind(err error) string {
	for _, k := range []struct {
		err  error
		name string
	}{
		{ErrPermission, "permission"},
		{ErrNotFound, "not-found"},
		{ErrUnsupported, "unsupported"},
		{ErrTool, "tool"},
		{ErrTorn, "torn"},
		{ErrTimeout, "timeout"},
		{ErrVanished, "vanished"},
		{ErrLimit, "limit"},
	} {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "other"
}

// worded is an error of one of the kinds above whose own text says it all.
type worded struct {
	text string
	kind error
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.kind }

// NotFoundf is an error of kind ErrNotFound for what names itself as missing: "no
// network app" needs no ": not found" behind it.
func NotFoundf(format string, args ...any) error {
	return worded{fmt.Sprintf(format, args...), ErrNotFound}
}

// kinded is an error of one of the kinds above, with what was done when it came.
type kinded struct {
	what      string
	kind, err error
}

func (k kinded) Error() string {
	text := k.err.Error()
	if !strings.Contains(strings.ToLower(text), k.kind.Error()) {
		text = fmt.Sprintf("%s (%s)", k.kind.Error(), text)
	}
	if k.what == "" {
		return text
	}
	return k.what + ": " + text
}

func (k kinded) Unwrap() []error { return []error{k.kind, k.err} }

// As gives err a kind, and says before it what was done when it came ("" nothing).
// The kind is named only where the text of err, which is not nil, does not name it.
func As(kind error, what string, err error) error { return kinded{what, kind, err} }

// hinted carries a remedy beside an error.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint attaches a remedy to err: a command or a fact, printed on a line of its
// own. A nil err stays nil; "" is no hint.
func Hint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return hinted{err, hint}
}

// HintOf is the remedy attached nearest to the surface of err, "" for none.
func HintOf(err error) string {
	var h hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// GapOf turns an error into a Gap.
func GapOf(what, netns string, err error) Gap {
	return Gap{What: what, Netns: netns, Kind: Kind(err), Why: err.Error(), Needs: HintOf(err)}
}
