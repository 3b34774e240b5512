package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestCollectLate(t *testing.T) {
	percent := func() uint64 {
		read := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(read)
		return read[0].Value.Uint64()
	}
	was := percent()
	t.Cleanup(func() { debug.SetGCPercent(int(was)) })
	t.Setenv("GOGC", "50")
	collectLate()
	if got := percent(); got != was {
		t.Fatalf("with GOGC set the percentage is %d, was %d", got, was)
	}
	t.Setenv("GOGC", "")
	collectLate()
	if got := percent(); got != 800 {
		t.Fatalf("before the first collection the percentage is %d, not 800", got)
	}
	for end := time.Now().Add(10 * time.Second); percent() != was; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("after a collection the percentage is %d, not %d as before", percent(), was)
		}
		runtime.GC()
	}
}
