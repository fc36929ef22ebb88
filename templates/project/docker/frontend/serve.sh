#!/bin/sh
# The first process of a container gets no signal that it does not ask for, and httpd asks for none:
# without this trap every stop would last until Docker's patience ends.
trap 'exit 0' TERM INT
httpd -f -p 3000 -h /srv/www &
wait $!
