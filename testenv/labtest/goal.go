package labtest

import "testing"

// slack is how far a ratio may lie beside its goal before a benchmark fails: what
// else a machine does strikes the two sides of a ratio differently.
const slack = 1.25

// AtMost prints a ratio beside its goal, and fails the benchmark when it is missed
// by more than slack.
func AtMost(b *testing.B, what string, got, goal float64) {
	b.Helper()
	say(b, what, got, "at most", goal, got <= goal, got <= goal*slack)
}

// AtLeast is AtMost the other way round.
func AtLeast(b *testing.B, what string, got, goal float64) {
	b.Helper()
	say(b, what, got, "at least", goal, got >= goal, got*slack >= goal)
}

func say(b *testing.B, what string, got float64, how string, goal float64, held, near bool) {
	b.Helper()
	switch {
	case held:
		b.Logf("goal held: %s is %.2f, to be %s %.2f", what, got, how, goal)
	case near:
		b.Logf("goal missed: %s is %.2f, to be %s %.2f; within the slack", what, got, how, goal)
	default:
		b.Errorf("goal missed: %s is %.2f, to be %s %.2f", what, got, how, goal)
	}
}
