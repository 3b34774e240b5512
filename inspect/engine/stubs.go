package engine

import "context"

func readPodman(context.Context, *machine) Result     { return Result{} }
func readContainerd(context.Context, *machine) Result { return Result{} }
func readCNI(context.Context, *machine) Result        { return Result{} }
