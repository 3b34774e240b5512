package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/netdoctor/netdoctor/testenv/fault"
)

// Score lets this very program look at every fault in turn, on w: is it named
// first, and is it mended? It runs inside a lab (Rerun).
func Score(ctx context.Context, w io.Writer) (err error) {
	l, err := Up(ctx, Default())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	named, mended, all := 0, 0, fault.All()
	fmt.Fprintf(w, "%-26s %-8s %-8s %-6s %s\n", "fault", "wanted", "first", "fixed", "left") //nolint:errcheck // only decoration
	for _, f := range all {
		if _, err := l.Break(ctx, f.Name, ""); err != nil {
			return err
		}
		first, _, err := finds(ctx)
		if err != nil {
			return err
		}
		_, fixing, err := output(ctx, "fix", "--yes", "-o", "json")
		if err != nil {
			return err
		}
		left, n, err := finds(ctx)
		if err != nil {
			return err
		}
		fixed := "yes"
		switch {
		case first == "" || fixing != 0 || left == f.Code: // what is not found is not mended
			fixed = "no"
		case n == 0:
			mended++
		}
		if first == f.Code {
			named++
		}
		fmt.Fprintf(w, "%-26s %-8s %-8s %-6s %d\n", f.Name, f.Code, first, fixed, n) //nolint:errcheck // only decoration
		if err := restore(ctx, l); err != nil {
			return fmt.Errorf("after %s: %w", f.Name, err)
		}
	}
	fmt.Fprintf(w, "\nnamed first %d of %d, mended with nothing left %d of %d\n", named, len(all), mended, len(all)) //nolint:errcheck // only decoration
	return nil
}

// restore takes back what the doctor did, then what broke the lab.
func restore(ctx context.Context, l *Lab) error {
	if _, _, err := output(ctx, "undo", "-o", "json"); err != nil {
		return err
	}
	_, err := l.Heal(ctx)
	return err
}

// finds is the first code that check names, "" for none, and how many errors
// and warnings there are.
func finds(ctx context.Context) (string, int, error) {
	out, _, err := output(ctx, "check", "-o", "json")
	if err != nil {
		return "", 0, err
	}
	var r struct {
		Findings []struct{ Code, Severity string }
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return "", 0, fmt.Errorf("reading what check says: %w", err)
	}
	first, n := "", 0
	for _, f := range r.Findings {
		if f.Severity == "info" {
			continue
		}
		if n++; first == "" {
			first = f.Code
		}
	}
	return first, n, nil
}

// output runs this program inside the lab; its exit code is no error.
func output(ctx context.Context, args ...string) ([]byte, int, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...) // #nosec G204 -- the program is this one
	cmd.Stdout = &out
	cmd.Env = append(os.Environ(), "NETDOCTOR_JOURNAL="+RunDir+"/journal")
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, 0, fmt.Errorf("running netdoctor %v: %w", args, err)
	}
	return out.Bytes(), cmd.ProcessState.ExitCode(), nil
}
