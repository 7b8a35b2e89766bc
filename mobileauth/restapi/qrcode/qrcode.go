// SPDX-License-Identifier: Apache-2.0

package qrcode

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the width of the light border that readers need, in modules (ISO/IEC 18004, 5.3.8).
const quiet = 4

// PNG draws text as a picture of 8 pixels a module, with its border. Text that no QR code holds is an error, which does not quote
// it.
func PNG(text string) ([]byte, error) {
	code, err := encode(text)
	if err != nil {
		return nil, err
	}
	return code.PNG(), nil
}

// SVG draws text as a picture that scales, black on white also where the page is dark.
func SVG(text string) ([]byte, error) {
	code, err := encode(text)
	if err != nil {
		return nil, err
	}
	var svg strings.Builder
	size := code.Size + 2*quiet
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<rect width="100%%" height="100%%" fill="#fff"/><path fill="#000" d="`, size, size)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&svg, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	svg.WriteString(`"/></svg>`)
	return []byte(svg.String()), nil
}

func encode(text string) (*qr.Code, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("drawing a QR code of %d bytes: %w", len(text), err)
	}
	return code, nil
}
