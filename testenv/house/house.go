// Package house holds the tests that keep the packages on their floors; see
// docs/architecture.md.
package house
