// SPDX-License-Identifier: Apache-2.0

// Package qrcode owns the pictures of QR codes that a page shows: PNG, and SVG that scales. What they say is sent to nobody to be
// drawn.
package qrcode
