// SPDX-License-Identifier: Apache-2.0

// Package standard owns the list of modules that make Gatehouse: import it, blank, into any Caddy.
package standard

import (
	_ "github.com/gatehouse-id/gatehouse/caddymodule"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/carriers"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/cli"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/demo"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/demo/guide"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/guests"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/handlers"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/operator"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/storageadmin"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/stores"
)
