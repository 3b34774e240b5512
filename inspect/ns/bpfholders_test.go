package ns

import "testing"

func TestHolder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       BPFHolder
		prog       uint32
	}{
		{"a link", "pos:\t0\nflags:\t02000000\nmnt_id:\t15\nino:\t2061\nlink_type:\txdp\nlink_id:\t9\nprog_tag:\tb11459a0e11ca14c\nprog_id:\t27\nifindex:\t4\n", BPFHolder{Link: 9, Ifindex: 4}, 27},
		{"a program", "pos:\t0\nflags:\t02000002\nprog_type:\t6\nprog_jited:\t1\nprog_id:\t27\nrun_time_ns:\t0\n", BPFHolder{}, 27},
		{"a map", "pos:\t0\nmap_type:\t1\nmap_id:\t27\n", BPFHolder{}, 0},
		{"garbage", "prog_id\nprog_id:\tseven\n:\n", BPFHolder{}, 0},
	} {
		if got, prog := holder(c.text); got != c.want || prog != c.prog {
			t.Errorf("%s: %+v of %d, want %+v of %d", c.name, got, prog, c.want, c.prog)
		}
	}
}
