package ns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNsMounts(t *testing.T) {
	t.Parallel()
	type mount struct {
		Inode uint64
		Path  string
	}
	tests := []struct {
		name, in string
		want     []mount
	}{
		{
			"one of ip netns", "512 25 0:4 net:[4026532281] /run/netns/blue rw shared:7 - nsfs nsfs rw\n",
			[]mount{{4026532281, "/run/netns/blue"}},
		},
		{
			"no optional fields", "512 25 0:4 net:[4026532281] /run/netns/blue rw - nsfs nsfs rw\n",
			[]mount{{4026532281, "/run/netns/blue"}},
		},
		{
			"a blank and a backslash in the name", `512 25 0:4 net:[7] /run/netns/a\040b\134c rw - nsfs nsfs rw` + "\n",
			[]mount{{7, `/run/netns/a b\c`}},
		},
		{"another kind of namespace", "512 25 0:4 mnt:[7] /run/snapd/ns/x.mnt rw - nsfs nsfs rw\n", nil},
		{"a directory with such a name", "36 35 8:1 /x /mnt/a\\040net:[7] rw - ext4 /dev/sda rw\n", nil},
		{"another file system with such a root", "36 35 8:1 net:[7] /mnt rw - ext4 /dev/sda rw\n", nil},
		{"cut off", "512 25 0:4 net:[4026532281] /run/netns/bl", nil},
		{"no number", "512 25 0:4 net:[x] /run/netns/blue rw - nsfs nsfs rw\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []mount
			for inode, path := range nsMounts([]byte(tt.in)) {
				got = append(got, mount{inode, Unescape(string(path))})
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const tail = " S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99887 1000 10 18446744073709551615\n"
	tests := []struct {
		name, in string
		want     Proc
		bad      bool
	}{
		{"plain", "42 (nginx)" + tail, Proc{PID: 42, PPID: 1, Name: "nginx", State: "S", Start: 99887}, false},
		{"brackets and blanks in the name", "42 (a) R (b)" + tail, Proc{PID: 42, PPID: 1, Name: "a) R (b", State: "S", Start: 99887}, false},
		{"a newline in the name", "42 (a\nb)" + tail, Proc{PID: 42, PPID: 1, Name: "a\nb", State: "S", Start: 99887}, false},
		{"cut off", "42 (nginx) S 1 1", Proc{}, true},
		{"empty", "", Proc{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat([]byte(tt.in))
			if (err != nil) != tt.bad {
				t.Fatalf("error %v, want one: %v", err, tt.bad)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func FuzzNsMounts(f *testing.F) {
	f.Add([]byte("512 25 0:4 net:[4026532281] /run/netns/blue rw shared:7 - nsfs nsfs rw\n"))
	f.Add([]byte(`1 2 3 net:[7] \04 rw - nsfs x` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, path := range nsMounts(b) {
			if len(path) == 0 {
				t.Errorf("a mount without a path in %q", b)
			}
		}
	})
}
