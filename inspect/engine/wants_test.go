package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestWants(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		env, args []string
		want      []snap.Want
	}{
		{"an address", []string{"DATABASE_URL=postgres://app:s3cret@Db:5432/app?sslmode=off"}, nil, []snap.Want{{Name: "db", By: "DATABASE_URL"}}},
		{"host and port", []string{"CACHE=redis:6379"}, nil, []snap.Want{{Name: "redis", By: "CACHE"}}},
		{"a key that holds a host", []string{"PGHOST=pg", "DB_HOST=db", "smtp.server=mail"}, nil, []snap.Want{{Name: "pg", By: "PGHOST"}, {Name: "db", By: "DB_HOST"}, {Name: "mail", By: "smtp.server"}}},
		{"several in one", []string{"KAFKA_BROKERS=k1:9092,k2:9092", "ES=http://a:9200;https://b"}, nil, []snap.Want{
			{Name: "k1", By: "KAFKA_BROKERS"}, {Name: "k2", By: "KAFKA_BROKERS"}, {Name: "a", By: "ES"}, {Name: "b", By: "ES"},
		}},
		{"what is no other host", []string{
			"PATH=/usr/bin:/bin", "PASSWORD=hunter2", "LISTEN=:8080", "BIND=0.0.0.0:80", "TIME=12:30", "BACKEND=db", "HOSTNAME=web",
			"DB_HOST=192.0.2.1", "IMAGE=repo/app:1.2", "RATIO=3:0", "DB_HOST=$(id)", "X_HOST=-rf", "LOG=level:debug", "U=http://[2001:db8::1]:80/",
		}, nil, nil},
		{
			"a command line",
			nil,
			[]string{"/bin/app", "--db-host", "db", "--cache=redis:6379", "--name", "web", "-v", "http://api/x", "serve"},
			[]snap.Want{{Name: "db", By: "its command line"}, {Name: "redis", By: "its command line"}, {Name: "api", By: "its command line"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, wants(tt.env, tt.args)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What is no name of another container of the same engine is not kept.
func TestKeepKnown(t *testing.T) {
	t.Parallel()
	w := func(names ...string) (out []snap.Want) {
		for _, n := range names {
			out = append(out, snap.Want{Name: n})
		}
		return out
	}
	cs := []snap.Container{
		{Engine: "docker", Name: "web", Service: "front", Wants: w("db", "database", "front", "web", "hunter2", "pod")},
		{Engine: "docker", Name: "app-db-1", Service: "db", Endpoints: []snap.Endpoint{{Aliases: []string{"Database"}}}},
		{Engine: "podman", Name: "pod", Wants: w("db")},
	}
	keepKnown(cs)
	if diff := cmp.Diff([][]snap.Want{w("db", "database"), nil, nil}, [][]snap.Want{cs[0].Wants, cs[1].Wants, cs[2].Wants}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
