// Package firewall turns what the kernel says about packet filters into
// package snap's types, and those back into the text that their own tools
// print. It only handles bytes: who reads them from the kernel is
// inspect/kernel.
//
// House rules: a length or an attribute that does not fit is never guessed
// around. An expression that can't be decoded completely becomes a
// snap.Unknown with its bytes; a message that can't be is an error. An
// attribute that this version does not know makes the whole expression
// unknown, since newer kernels change meanings that way (NFTA_BITWISE_OP once
// turned a mask into a shift). Decoded byte slices point into the input, which
// must not be changed afterwards.
package firewall
