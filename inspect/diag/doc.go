// Package diag turns a snapshot into findings: what is broken, where, why, and
// what mends it. It is pure: probes are part of the snapshot, fixes are values.
//
// Where is what:
//
//   - The frame. check.go has the types that checks see; run.go builds their Input and
//     asks them; finding.go, finish.go, fold.go and heal.go make findings complete, fold
//     consequences under causes, and try fixes on the value.
//   - What must work: expect.go and its kin (expect6, expectbanned, expectdiverted,
//     expectplain, expectservice, expecttunnel, expectuntracked), names.go, clash.go, tried.go,
//     httpproxy.go, upstream.go and closedserver.go. What must not: forbidden.go.
//   - Whose will it is that something does not: group.go bundles what is broken by the
//     place that breaks it; allowlist.go, wall.go and twin.go excuse what is meant.
//   - What the wire is asked: probes.go, witness.go, routers.go, whole.go, pathmtu.go,
//     routes.go, neighbours.go, nexthops.go; once more doubt.go, counted.go, tracked.go and
//     ruled.go. What it says of the model: proof.go, unproved.go.
//   - Things that several checks look for: adrift.go, plain.go, routed.go, published.go,
//     slow.go, staleconn.go.
//   - Words for people: words.go, place.go, commands.go; whose a rule is: owner.go, ownername.go.
package diag
