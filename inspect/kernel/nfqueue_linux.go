package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
)

// readNFQueues lists the queues that a program reads from
// (net/netfilter/nfnetlink_queue.c: seq_show). Without the file there is no such
// module, and nobody can. It must run on a thread inside.
func readNFQueues() ([]uint16, error) {
	b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if errors.Is(err, fs.ErrNotExist) {
		return []uint16{}, nil
	}
	if err != nil {
		return nil, err
	}
	return nfQueues(b)
}

// nfQueues reads the lines, which begin with the queue's number.
func nfQueues(b []byte) ([]uint16, error) {
	out := []uint16{}
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) == 0 {
			continue
		}
		n, err := strconv.ParseUint(string(f[0]), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("nfnetlink_queue: %w", err)
		}
		out = append(out, uint16(n))
	}
	return out, nil
}
