"""The status page: what the daemon shows of itself to somebody with a browser.

Plain HTML, CSS and ES modules, read from the package and served at / and below /page/. The page
asks /status and /space every other second; it can change nothing. Where to look:

    page.js       puts the parts together
    view.js       what the reader wants to see: states, names, one link; kept in the address
    asking.js     asks the daemon again and again, and says how old the answer is
    head.js       the top: how the daemon itself is (facts.js), and links by state
    links.js      the table of links
    one.js        the link that was chosen
    events.js     the latest events
    scene.js      the embedding: camera.js projects, box.js is the box around, hands.js turns it
    marks.js      shape and colour of a state
    words.js      names, numbers and times, made safe to show

Whatever a daemon says goes through `words.js` and becomes text, never markup.
"""

from .pages import POLICY, status_page

__all__ = ["POLICY", "status_page"]
