package cli

import "github.com/spf13/cobra"

// topics are pages of help that belong to no command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit codes mean", Long: `The exit codes:

  0    asked and answered: healthy, delivered, resolved, nothing to change, fix
       verified
  1    a problem was found at or above --fail-on (default error); dropped or
       refused; not resolved; an expectation failed
  2    wrong usage or a bad input file
  3    could not be determined: a missing privilege or unreadable state decides
       the answer; never 0
  4    fix --dry-run, or fix that nobody confirmed: changes are pending
  5    a change failed and everything was rolled back
  6    a change failed and the rollback is incomplete; what is left is listed
  130  interrupted; our own temporary state is gone`},
		{Use: "targets", Short: "How to name containers, namespaces and addresses", Long: `A TARGET is one of

  web, docker:web, podman:web, cni:ID    a container, by name or the beginning of
                                         its ID; or by its compose service
  netns:blue, netns:/run/netns/blue      a network namespace; also by its inode
  pid:1234                               the namespace that a process lives in
  host                                   this host
  net:app                                a network
  internet                               somewhere out there
  172.20.0.3, 2001:db8::1                an address

An exact name goes before the beginning of an ID, and both before the service
that a container belongs to. A name that several things have is an error that
lists the full ones.

As a destination a port or protocol may follow, and a name is resolved as the
source would:

  db:5432                tcp, because a port is given
  10.0.0.5:53/udp        udp
  [2001:db8::1]:80       IPv6 with a port in brackets
  host/icmp              a ping; so is a target without a port
  localhost:8080         inside the source's own namespace

An address outside this host as SRC means a packet that arrives here from
there, on the interface that routes back to it. It can be predicted, and proved
only from this host on.`},
		{Use: "expectations", Short: "How to write what must and must not work, for netdoctor test", Long: `A file of expectations is YAML:

  expect:
    - web -> db:5432              # must be reachable
    - lonely -x-> db:5432         # must not be
    - 192.168.50.20 -> host:8080  # from the LAN to a published port
    - reach: web -> internet:443
      name: the shop can take payments
      tags: [egress]
      within: 200ms               # the live answer comes within
      mtu: 1500                   # packets of this size pass in one piece
    - resolve: web -> db          # the name db, asked by web
      answers: [172.20.0.4]       # exactly these; or count: 1
    - resolve: lonely -x-> db
    - findings: none above warning  # or: none, none above info

Sources and destinations are TARGETs: netdoctor help targets. Beside its verdict
an expectation may have name, tags, and the bounds shown. What is expected is
proved by live packets unless --no-probe is given; a verdict of unknown neither
passes nor fails, and ends with exit code 3 when nothing fails.`},
		{Use: "findings", Short: "What a finding says, and the families of codes", Long: `A finding says what is wrong, where, since which evidence, and how to mend it.
The first finding is the one to repair first; consequences are folded under it
("hides").

Severity: an error means that traffic or names asked for do not work; a warning
works now, but will break or works by luck; an info is worth knowing.

Confidence: predicted from the state of the kernel, proved by a live probe, or
contradicted by one.

The families of codes:

  ND1  links, bridges, veth           ND6  engine state against the kernel
  ND2  addresses, routes, rules       ND7  MTU, offload, checksum, rate
  ND3  filter, NAT, conntrack         ND8  overlay, several hosts
  ND4  names                          ND9  netdoctor itself
  ND5  ports, sockets, listeners

netdoctor ls checks lists them all, netdoctor explain CODE tells each in full.`},
	}
}
