"""The page with a stand-in for a trained model, in a process of its own: `python page.py PORT FOLDER`.

The mean red, green and blue of a picture are its probabilities.
The file `asked` in the folder says how often it was asked."""
import sys
from pathlib import Path
import numpy as np, torch
from PIL import Image
from course_lib.bear_page import bears_app, serve

class StandIn:
    vocab, thresholds = ['black', 'grizzly', 'teddy'], [.5, .5, .6]
    def __init__(self, folder): self.log, self.n = folder/'asked', 0
    def get_preds(self, items):
        self.n += 1
        self.log.write_text(str(self.n))
        return torch.stack([torch.tensor(np.asarray(o, dtype='float32')).mean((0, 1))/255 for o in items])

if __name__ == '__main__':
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    colours = {'one teddy': (20, 20, 230), 'nothing': (20, 20, 20)}
    for name,colour in colours.items(): Image.new('RGB', (80, 60), colour).save(folder/f'{name}.png')
    app = bears_app(StandIn(folder), [(folder/f'{name}.png', name) for name in colours])
    print(serve(app, port), flush=True)
    app.block_thread()
