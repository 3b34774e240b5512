package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Supports says whether this kernel can make devices of a kind. It is asked for one
// with more queues than any device may have, which it refuses only after it looked
// for the kind (net/core/rtnetlink.c: rtnl_newlink, rtnl_create_link), so that none
// is made: a namespace to make one in costs 15 to 30 ms of the lock of all devices
// when it ends, which the first containers would wait for. Missing kinds are
// snap.ErrUnsupported, with the kernel option that brings them.
func Supports(ctx context.Context, deviceKind string) error {
	c, err := dialHere(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.close()
	const tooMany = 1 << 16
	body := attrs(ifinfo(unix.AF_UNSPEC, 0, 0, 0))
	body.str(unix.IFLA_IFNAME, "ndprobe0")
	queues(&body, tooMany)
	body.nested(unix.IFLA_LINKINFO, func(x *attrs) { x.str(unix.IFLA_INFO_KIND, deviceKind) })
	err = c.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body)
	if errors.Is(err, unix.EOPNOTSUPP) { // rtnetlink.c: no rtnl_link_ops of that kind, and no module
		option := map[string]string{"bridge": "BRIDGE"}[deviceKind]
		if option == "" {
			option = strings.ToUpper(deviceKind)
		}
		return snap.Hint(fmt.Errorf("this kernel has no %s devices: %w", deviceKind, snap.ErrUnsupported), "a kernel with CONFIG_"+option+", or its module "+deviceKind)
	}
	if err == nil { // a kernel that lets a device have so many
		err = c.do(unix.RTM_DELLINK, 0, body)
		return kernel.NetlinkError("taking a device of kind "+deviceKind+" away", err)
	}
	return ctx.Err() // any other answer: it knows the kind, and wants more to be said
}
