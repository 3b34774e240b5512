package engine

import (
	"os"
	"path/filepath"
	"testing"
)

// What was set up for one host namespace says nothing about another one that
// sees the same files.
func TestOwnNetworksAreOfOneHostNamespace(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, selfEnv)
	for file, text := range map[string]string{
		"env.json":           `{"version":1,"engine":{"name":"netdoctor","version":"1","iptables":true},"env":{"name":"default","host":{"id":"host","host":true,"inode":4026531840}}}`,
		"networks/abc.json":  `{"network":{"ref":"network/netdoctor/abc","id":"abc","name":"app","engine":"netdoctor","driver":"bridge","bridge":"nd-abc"}}`,
		"containers/d.json~": `not whole, and not ours to read`,
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		host uint64
		want int
	}{{"its own", 4026531840, 1}, {"another one", 4026531841, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &machine{Options: Options{Root: root}, netns: tt.host, procs: map[int]*proc{}}
			res := readSelf(t.Context(), m)
			if len(res.Gaps) > 0 {
				t.Errorf("gaps %v", res.Gaps)
			}
			if len(res.Networks) != tt.want || len(res.Engines) != tt.want {
				t.Errorf("networks %v, engines %v; want %d of each", res.Networks, res.Engines, tt.want)
			}
		})
	}
}
