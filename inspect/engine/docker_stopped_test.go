package engine

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Four programs that heed no SIGTERM ended with 137: one was stopped and one
// killed a moment ago, two ended before Docker's oldest event, one of them by a
// person's will. A fifth crashed by itself and is not asked about.
func TestStoppedByWill(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	for i, name := range []string{"stopped", "killed", "stopped-long-ago", "killed-long-ago", "failed"} {
		ids[name] = strings.Repeat(fmt.Sprint(i+1), 64)
	}
	event := func(what, name string, at int) string {
		return fmt.Sprintf(`{"Type":"container","Action":%q,"Actor":{"ID":%q},"time":%d,"timeNano":%d}`+"\n", what, ids[name], at/1e9, at)
	}
	h := newFakeHost(t)
	h.proc(fakeProc{pid: 800, ppid: 1, comm: "dockerd", args: []string{"dockerd"}})
	mux := http.NewServeMux()
	answer := func(path, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) })
	}
	answer("GET /v1.41/info", fmt.Sprintf(`{"ServerVersion":"20.10.24","DockerRootDir":%q}`, dataAt))
	answer("GET /v1.41/version", `{}`)
	answer("GET /v1.41/networks", `[]`)
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	var list []string
	for name, id := range ids {
		code := 137
		if name == "failed" {
			code = 1
		}
		list = append(list, fmt.Sprintf(`{"Id":%q,"State":"exited"}`, id))
		answer("GET /v1.41/containers/"+id+"/json", fmt.Sprintf(`{"Id":%q,"Name":%q,"State":{"Status":"exited","ExitCode":%d,"StartedAt":"2026-01-01T00:00:00Z","FinishedAt":"2026-01-01T00:10:00Z"}}`, id, "/"+name, code))
		h.file(dataAt+"/containers/"+id+"/config.v2.json", fmt.Sprintf(`{"ID":%q,"HasBeenManuallyStopped":%v}`, id, name != "killed-long-ago"))
	}
	answer("GET /v1.41/containers/json", "["+strings.Join(list, ",")+"]")
	mux.HandleFunc("GET /v1.41/events", func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("until") == "" || q.Get("since") != "1767226199" {
			t.Errorf("events are asked for without end, or not from the first end on: %s", r.URL.RawQuery)
		}
		// killed was stopped once before, and started again. The two events of a
		// stop come in either order.
		_, _ = fmt.Fprint(w, event("die", "killed", 1767225500e9), event("stop", "killed", 1767225500e9+5),
			event("stop", "stopped", 1767226200e9), event("die", "stopped", 1767226200e9+5), event("die", "killed", 1767226200e9+7))
	})
	h.serve(mux)
	got := map[string]bool{}
	for _, c := range Read(t.Context(), h.options()).Containers {
		got[c.Name] = c.Stopped
	}
	want := map[string]bool{"stopped": true, "killed": false, "stopped-long-ago": true, "killed-long-ago": false, "failed": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stopped by will (-want +got):\n%s", diff)
	}
}
