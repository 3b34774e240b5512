package render

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// wellFormed says why bytes are no XML.
func wellFormed(b []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := dec.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// runFor runs a program for so long at the most and gives what it said.
func runFor(t *testing.T, d time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	return out.String(), err
}

func TestMapPictures(t *testing.T) {
	t.Parallel()
	m := mapResult(30)
	var pic, graph bytes.Buffer
	if err := Write(&pic, m, "svg", Style{}); err != nil {
		t.Fatal(err)
	}
	if err := wellFormed(pic.Bytes()); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`xmlns="http://www.w3.org/2000/svg"`, "× ND3210", "net:app", "service-029", `class="path"`} {
		if !strings.Contains(pic.String(), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if err := Write(&graph, m, "dot", Style{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(graph.String(), "{") - strings.Count(graph.String(), "}"); n != 0 {
		t.Errorf("%d braces are open", n)
	}
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Skip("Graphviz is not installed")
	}
	cmd := exec.CommandContext(t.Context(), dot, "-Tsvg")
	cmd.Stdin = &graph
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("dot: %v\n%.300s", err, out)
	}
}

func TestCIFormatsAndPicturesAreForTheirOwn(t *testing.T) {
	t.Parallel()
	for _, f := range []string{"svg", "dot"} {
		if err := Write(io.Discard, results()["check"], f, Style{}); err == nil {
			t.Errorf("a check was drawn as %s", f)
		}
	}
}

// TestPathKeepsToTheWires: a way between two containers of one network stays in
// it, and one that leads out leads from the host to its uplink and from there on, box by box.
func TestPathKeepsToTheWires(t *testing.T) {
	t.Parallel()
	m := layout(mapResult(8))
	chips := m.groups[0].members
	inside := m.line([]string{chips[0].ID, m.groups[0].node.ID, chips[1].ID})
	if strings.ContainsAny(inside, "C") || strings.Contains(inside, fmt.Sprint(m.hostX)) {
		t.Errorf("the way inside of a network leaves it: %s", inside)
	}
	out := m.line([]string{chips[0].ID, m.groups[0].node.ID, "host", m.uplinks[0].ID, "internet"})
	x := m.hostX + hostW/2
	for _, want := range []string{
		fmt.Sprintf(" %d %d", m.hostX, hostY),
		fmt.Sprintf("M%d %dL%d %d", x, hostY-hostH/2, x, uplinkY+chipH/2),
		fmt.Sprintf("M%d %dL%d %d", x, uplinkY-chipH/2, x, netY+netH/2),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the way out has no %q: %s", want, out)
		}
	}
	back := m.line([]string{"internet", m.uplinks[0].ID, "host", m.groups[0].node.ID, chips[0].ID})
	if strings.Count(back, "C") != 1 || strings.Count(back, "M") != 3 {
		t.Errorf("the way in: %s", back)
	}
}
