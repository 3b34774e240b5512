package diag

import (
	"bytes"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
)

// fold hides the findings that are consequences of others, which is what causes
// says. Of a circle in After nothing is hidden.
func fold(fs []Finding, by map[Code]Check) []Finding {
	causeOf := causes(fs, by)
	root := func(i int) int {
		for n := 0; causeOf[i] >= 0 && n < len(fs); n++ {
			i = causeOf[i]
		}
		return i
	}
	var out []Finding
	at := map[int]int{}
	for i := range fs {
		if causeOf[i] < 0 {
			at[i] = len(out)
			out = append(out, fs[i])
		}
	}
	for i := range fs {
		if causeOf[i] < 0 {
			continue
		}
		if k, ok := at[root(i)]; ok {
			hide(&out[k], &fs[i])
		} else {
			out = append(out, fs[i])
		}
	}
	return out
}

// causes has for each finding the one that it is a consequence of, -1 for none:
// one that its check blames and that is about the same, or that explains all that
// it explains, or several that do so together. Of several of one weight that one
// fix heals, the first is the cause.
func causes(fs []Finding, by map[Code]Check) []int {
	out := make([]int, len(fs))
	for i := range fs {
		x := &fs[i]
		out[i] = -1
		for j := range fs {
			cause := &fs[j]
			twin := j < i && (sameFix(x, cause) || x.Weight == cause.Weight && heals(x, cause))
			if i != j && (blames(x, cause, by) && related(x, cause) || twin || explained(x, cause)) {
				out[i] = j
				break
			}
		}
		if out[i] < 0 {
			out[i] = together(fs, i, by)
		}
	}
	return out
}

// blames says whether a finding's check names the other's in After, or knows no
// cause at all where the other does.
func blames(x, cause *Finding, by map[Code]Check) bool {
	c := by[x.Code]
	return slices.Contains(c.After, cause.Code) || c.CatchAll && !by[cause.Code].CatchAll && cause.Severity == Error && x.covers()
}

// together is the first of several causes that explain a consequence between them,
// as two faults at once do; -1 when there are none.
func together(fs []Finding, i int, by map[Code]Check) int {
	x, first := &fs[i], -1
	if !x.covers() {
		return -1
	}
	var all Finding
	for j := range fs {
		cause := &fs[j]
		if i == j || !blames(x, cause, by) || !meet(x, cause) {
			continue
		}
		if first < 0 {
			first = j
		}
		all.Covers.Traces = append(all.Covers.Traces, cause.Covers.Traces...)
		all.Covers.Names = append(all.Covers.Names, cause.Covers.Names...)
	}
	if !within(x, &all) {
		return -1
	}
	return first
}

// meet says whether two findings cover something that is the same.
func meet(a, b *Finding) bool {
	in := func(list []int) func(int) bool { return func(i int) bool { return slices.Contains(list, i) } }
	return slices.ContainsFunc(a.Covers.Traces, in(b.Covers.Traces)) || slices.ContainsFunc(a.Covers.Names, in(b.Covers.Names))
}

func hide(under, f *Finding) {
	under.Asked = under.Asked || f.Asked
	for k := range under.Hides {
		if under.Hides[k].Code == f.Code {
			under.Hides[k].Count++
			return
		}
	}
	under.Hides = append(under.Hides, Hidden{Code: f.Code, Count: 1, Summary: unsaid(f.Summary, under.Summary)})
}

// unsaid is a summary without the reason at its end, where that is told already.
func unsaid(s, told string) string {
	for i := range s {
		if tail, ok := strings.CutPrefix(s[i:], ": "); ok && strings.Contains(told, tail) {
			return s[:i]
		}
	}
	return s
}

// sameFix says whether two findings are mended by the very same operations:
// they are one fault, seen twice.
func sameFix(a, b *Finding) bool {
	if a.Fix == nil || b.Fix == nil || len(a.Fix.Ops) == 0 || len(a.Fix.Ops) != len(b.Fix.Ops) {
		return false
	}
	for i := range a.Fix.Ops {
		x, errX := fixups.Marshal(a.Fix.Ops[i])
		y, errY := fixups.Marshal(b.Fix.Ops[i])
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

// explained says whether mending the cause, a state that is wrong in itself,
// heals all that f tells of: f is then a symptom, whatever its check knows.
func explained(f, cause *Finding) bool {
	return cause.heals && f.Weight < cause.Weight && f.Severity.Rank() <= cause.Severity.Rank() && f.covers() && related(f, cause)
}

// heals says whether mending the cause heals all that f tells of, so that nothing is
// left for f's own remedy.
func heals(f, cause *Finding) bool {
	return cause.heals && f.Severity.Rank() <= cause.Severity.Rank() && f.covers() && within(f, cause)
}

// covers says whether a finding explains a flow or a name at all.
func (f *Finding) covers() bool { return len(f.Covers.Traces)+len(f.Covers.Names) > 0 }

// related says whether f may be a consequence of cause.
func related(f, cause *Finding) bool {
	if f.Subject == cause.Subject {
		return true
	}
	if len(f.Covers.Traces)+len(f.Covers.Names) == 0 {
		return f.Subject.Netns != "" && f.Subject.Netns == cause.Subject.Netns && f.Subject.Kind == cause.Subject.Kind
	}
	return within(f, cause)
}

// within says whether the cause covers all that f covers.
func within(f, cause *Finding) bool {
	for _, i := range f.Covers.Traces {
		if !slices.Contains(cause.Covers.Traces, i) {
			return false
		}
	}
	for _, i := range f.Covers.Names {
		if !slices.Contains(cause.Covers.Names, i) {
			return false
		}
	}
	return true
}
