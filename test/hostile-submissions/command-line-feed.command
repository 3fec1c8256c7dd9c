send bob@example.net
check eve@example.com