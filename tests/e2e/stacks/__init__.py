"""TLS stacks that others wrote, as clients that come back and as servers that give tickets."""
