module example.com/custom-realm

go 1.26.0

require (
	github.com/caddyserver/caddy/v2 v2.11.9
	github.com/gatehouse-id/gatehouse v0.0.0
)

replace github.com/gatehouse-id/gatehouse => ../..
