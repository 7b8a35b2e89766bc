// SPDX-License-Identifier: Apache-2.0

// Command gatehouse is Caddy with Gatehouse built in. It takes Caddy's commands and, without the word "gatehouse" before
// them, ours: "gatehouse run" and "gatehouse user add".
package main

import (
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/gatehouse-id/gatehouse/caddymodule/cli"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/standard"
)

func main() {
	cli.TopLevel()
	caddycmd.Main()
}
