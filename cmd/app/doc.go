// Package app holds the use cases of the command line: options in, a value of
// cmd/schema/v1 out. Whatever touches the machine is a field of App.
package app
